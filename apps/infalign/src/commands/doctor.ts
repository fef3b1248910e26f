import { spawnSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { stripVTControlCharacters } from 'node:util';
import { Command } from 'commander';
import { writeStandardOutput } from '../standard-output.js';

/** What was found of one thing that infalign needs. */
interface Finding {
  readonly name: string;
  /** `missing` keeps infalign from running; `warning` makes it slow, or matters only at the next installation. */
  readonly state: 'ok' | 'warning' | 'missing';
  /** What is there: a version, an amount. */
  readonly found: string;
  /** How to get what is missing. */
  readonly remedy?: string;
}

const gibibyte = 2 ** 30;

/** `infalign doctor`: what is present, what is missing, and how to get it. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .summary('tell what is present, what is missing and how to get it')
    .description(
      `Looks at what infalign needs of this machine: Node.js, the native TensorFlow library and what it is installed with,
memory and disk. Exits with 1 if something is missing without which nothing runs.`,
    )
    .option('--json', 'write one JSON array and nothing else')
    .addHelpText(
      'after',
      `
Examples:
  infalign doctor
  infalign doctor --json`,
    )
    .action(async ({ json }: { json?: boolean }) => {
      const findings = [node(), tensorflow(), compiler(), python(), java(), maven(), memory(), disk()];
      await writeStandardOutput(json === true ? `${JSON.stringify(findings)}\n` : findings.map(formatted).join(''));
      if (findings.some(({ state }) => state === 'missing')) process.exitCode = 1;
    });
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const supported = (major === 20 && minor >= 19) || (major === 22 && minor >= 12);
  return {
    name: 'Node.js',
    state: supported ? 'ok' : 'warning',
    found: process.version,
    ...(!supported && {
      remedy:
        'install Node.js 20.19 or later, or 22.12 or later; tfjs-node 4.22 does not work with Node.js 23 and above',
    }),
  };
}

/** In a process of its own: a native library that does not fit can end the process that loads it. */
function tensorflow(): Finding {
  const program = `
    import { loadBackend, thisMachine } from ${JSON.stringify(import.meta.resolve('@infalign/backend'))};
    const { kind, reason } = await loadBackend({ environment: process.env });
    const { default: tf } = await import(import.meta.resolve('@tensorflow/tfjs-node', ${JSON.stringify(import.meta.resolve('@infalign/backend'))}));
    const product = tf.matMul(tf.ones([2, 2]), tf.ones([2, 2])).dataSync()[0];
    if (product !== 2) throw new Error('2 × 2 matrices multiply wrongly');
    process.stdout.write(JSON.stringify({ version: tf.backend().binding.TF_Version, kind, reason, ...thisMachine() }));`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: import.meta.dirname,
    encoding: 'utf8',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '1' },
  });
  if (status === 0) return tensorflowDevice(JSON.parse(stdout) as LoadedTensorflow, stderr);
  const reason = stderr.split('\n').find((line) => /Error/.test(line)) ?? 'it ends without a word';
  return {
    name: 'TensorFlow',
    state: 'missing',
    found: `the native library does not load (${reason.trim()})`,
    remedy: 'run `npm run setup` in the repository: it installs the library from PyPI, and compiles its addon',
  };
}

interface LoadedTensorflow {
  readonly version: string;
  readonly kind: 'cpu' | 'gpu';
  /** Why this device was chosen. */
  readonly reason: string;
  readonly hasGpu: boolean;
  readonly hasGpuLibrary: boolean;
}

/** @param words what TensorFlow said when it was loaded */
function tensorflowDevice({ version, kind, reason, hasGpu, hasGpuLibrary }: LoadedTensorflow, words: string): Finding {
  const found = `libtensorflow ${version} on ${kind === 'gpu' ? 'a GPU' : 'the CPU'} (${reason})`;
  const asked = process.env.INFALIGN_DEVICE === 'cpu';
  if (kind === 'gpu' || asked || !hasGpu || !hasGpuLibrary) return { name: 'TensorFlow', state: 'ok', found };
  const said = words.split('\n').find((line) => /cuInit|Cannot dlopen|cuda drivers|compute capability/.test(line));
  return {
    name: 'TensorFlow',
    state: 'warning',
    found,
    remedy:
      `${said === undefined ? '' : `it says: ${said.replace(/^.*?\] /, '').trim()} `}` +
      'Install the libraries again (npm run setup -- --gpu) or a newer driver (535 or later), or set INFALIGN_DEVICE=cpu',
  };
}

function compiler(): Finding {
  const command = process.env.CXX ?? 'g++';
  const version = firstLine(command, '--version');
  return {
    name: 'C++ compiler',
    state: version === undefined ? 'warning' : 'ok',
    found: version ?? `${command} is not on the PATH`,
    ...(version === undefined && {
      remedy: 'needed to install TensorFlow: install g++ (Debian: apt-get install g++), or set CXX',
    }),
  };
}

function python(): Finding {
  const version = firstLine('python3', '--version');
  return {
    name: 'Python 3',
    state: version === undefined ? 'warning' : 'ok',
    found: version ?? 'python3 is not on the PATH',
    ...(version === undefined && {
      remedy: 'needed to install TensorFlow: install Python 3 (Debian: apt-get install python3)',
    }),
  };
}

function java(): Finding {
  const { stderr, status } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  const version = status === 0 ? stderr.split('\n')[0] : undefined;
  const major = Number(/version "(\d+)/.exec(version ?? '')?.[1] ?? 0);
  return {
    name: 'Java',
    state: major >= 17 ? 'ok' : 'warning',
    found: version ?? 'java is not on the PATH',
    ...(major < 17 && {
      remedy:
        'needed by infalign up without --brokers, and to test services: install Java 17 or later ' +
        '(Debian: apt-get install openjdk-17-jre-headless)',
    }),
  };
}

function maven(): Finding {
  const version = firstLine('mvn', '-B', '--version');
  return {
    name: 'Maven',
    state: version === undefined ? 'warning' : 'ok',
    found: version ?? 'mvn is not on the PATH',
    ...(version === undefined && {
      remedy: 'brings Kafka for infalign up without --brokers: install Maven (Debian: apt-get install maven)',
    }),
  };
}

function memory(): Finding {
  const enough = totalmem() >= 4 * gibibyte;
  return {
    name: 'Memory and cores',
    state: enough ? 'ok' : 'warning',
    found: `${(totalmem() / gibibyte).toFixed(1)} GiB, ${availableParallelism()} cores`,
    ...(!enough && { remedy: 'the quickstart takes up to 4 GiB: set machine.processes to 1 in the experiment' }),
  };
}

function disk(): Finding {
  const { bavail, bsize } = statfsSync('.');
  const free = bavail * bsize;
  const enough = free >= 2 * gibibyte;
  return {
    name: 'Disk',
    state: enough ? 'ok' : 'warning',
    found: `${(free / gibibyte).toFixed(1)} GiB free here`,
    ...(!enough && {
      remedy: 'TensorFlow and the quickstart take about 2 GiB: free some, or use --out on another disk',
    }),
  };
}

function firstLine(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stripVTControlCharacters(stdout.split('\n')[0]!) : undefined;
}

function formatted({ name, state, found, remedy }: Finding): string {
  const mark = { ok: '✓', warning: '!', missing: '✗' }[state];
  return `${mark} ${name.padEnd(17)} ${found}\n${remedy === undefined ? '' : `    → ${remedy}\n`}`;
}
