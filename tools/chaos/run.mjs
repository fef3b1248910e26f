// Kills services and brokers while an experiment runs on them, and counts. `node tools/chaos/run.mjs --help`
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { kafkaAvailable } from '../kafka/index.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { oneOf, wholeNumber } from '../workspace/options.mjs';
import { script } from '../workspace/workspace.mjs';

const help = `Usage: npm run -s test:chaos -- [OPTIONS]

Runs a small experiment twice: in one process, and on the five services (two samplers, two scorers, one of each other)
over three brokers, topics of six partitions and three copies, while services and brokers are killed (SIGKILL) and
connections to brokers are delayed, held back and cut. Then counts: every rollout has to be sampled, scored, calibrated and
learned from exactly once, with the same records, the same results and the same policy as in one process, bit for bit.
The exit code is 0 only if that is so and all kills have fallen into the run.

Options:
  --seed S         what is killed and when is drawn from it: a whole number (default: 1)
  --kills N        kills, spread over the services and the brokers (default: 20); the run is the longer the more there are
  --plant BUG      plants a bug half-way, to show that the test finds it; it has to fail:
                     double  a scored rollout is appended once more, as by a scorer that produces without committing
                     lose    a batch is passed over, as by a scorer that commits without producing
  --patience SEC   a run that makes no progress for so long hangs (default: 120)
  --limit MIN      a run that takes longer has failed (default: 30)
  --folder PATH    where everything is written (default: a temporary folder, which is removed unless the test fails)
  --undisturbed PATH
                   where the undisturbed run is written, and found the next time that there are as many kills
  --keep           leave the temporary folder, with all logs, in any case
  --json           write the counts as one JSON object
  --help           show this

What is written:
  produced         rollouts that were sampled
  consumed         rollouts that came to their end: learned from, taken as references, measured or collected
  lost, doubled    rollouts that are missing, or more than once, anywhere on their way
  unfounded        rollouts that nobody asked for, and records that carry another one than was written for their rollout
  differing        records that are not as in the undisturbed run
  flaws            all of these and dead letters together
  kills, killed    how often anything was killed, and each
  ended_by_themselves, not_ended
                   services that ended though nobody had killed them; that did not when they were told to
  same_policy      whether the final policy's weights are those of the undisturbed run
  same_results     whether results.json says the same

Examples:
  npm run -s test:chaos -- --json --seed 7 --kills 20
  npm run -s test:chaos -- --kills 7
  npm run -s test:chaos -- --kills 3 --plant lose --patience 40
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      kills: { type: 'string', default: '20' },
      plant: { type: 'string' },
      patience: { type: 'string', default: '120' },
      limit: { type: 'string', default: '30' },
      folder: { type: 'string' },
      undisturbed: { type: 'string' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const plant = oneOf('plant', values.plant ?? 'none', ['double', 'lose', 'none']);
  const settings = {
    seed: wholeNumber('seed', values.seed, 0),
    kills: wholeNumber('kills', values.kills, 1),
    plant: plant === 'none' ? undefined : plant,
    patienceSeconds: wholeNumber('patience', values.patience, 1),
    limitSeconds: 60 * wholeNumber('limit', values.limit, 1),
  };
  const kafka = kafkaAvailable();
  if (!kafka.ok) throw new Error(kafka.missing.join('\n'));
  buildWorkspace();

  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const folder =
    values.folder === undefined ? mkdtempSync(join(tmpdir(), 'infalign-chaos-')) : emptyFolder(values.folder);
  const undisturbedFolder = resolve(values.undisturbed ?? join(folder, 'undisturbed'));
  const start = performance.now();
  const tell = (text) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stderr.write(`[${seconds.padStart(7)} s] ${text}\n`);
  };
  let passed = false;
  try {
    const { chaos } = await import('./chaos.mjs');
    const counts = await chaos({ ...settings, folder, undisturbedFolder, tell });
    passed = isFlawless(counts, settings.kills);
    process.stdout.write(values.json ? `${JSON.stringify(counts)}\n` : described(counts));
    tell(passed ? 'nothing lost, nothing doubled, nothing changed' : 'the test has failed');
  } finally {
    const kept = values.folder !== undefined || values.keep || (!passed && settings.plant === undefined);
    if (kept) tell(`everything is in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return passed ? 0 : 1;
});

function isFlawless(counts, kills) {
  const { flaws, not_ended, finished, same_policy, same_results } = counts;
  return finished && same_policy && same_results && flaws + not_ended === 0 && counts.kills === kills;
}

function described(counts) {
  const text = (value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  return Object.entries(counts)
    .map(([name, value]) => `${name.padEnd(20)}${text(value)}\n`)
    .join('');
}

function emptyFolder(path) {
  if (existsSync(path) && readdirSync(path).length > 0) throw new Error(`--folder ${path}: it is not empty.`);
  mkdirSync(path, { recursive: true });
  return resolve(path);
}
