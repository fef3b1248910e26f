// Measures `infalign calibrate` and `infalign win-rate` on large files: time, and the memory of the process at its peak.
//
//   node tools/bench/files.mjs [--lines 10000000] [--program apps/infalign/bin/infalign.js]
//
// It writes the files into a temporary folder (about 3 GB for ten million lines, and as much again while it runs), and
// removes them. The build must be there: `npm run build`.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    lines: { type: 'string', default: '10000000' },
    program: { type: 'string', default: 'apps/infalign/bin/infalign.js' },
  },
});
const lines = Number(values.lines);
const folder = mkdtempSync(join(tmpdir(), 'infalign-bench-'));

/** A small generator (mulberry32): the files are the same every time. */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function writeLines(name, count, line) {
  const path = join(folder, name);
  const descriptor = openSync(path, 'w');
  for (let index = 0; index < count;) {
    let text = '';
    for (const until = Math.min(count, index + 2000); index < until; index++) text += `${line(index)}\n`;
    writeSync(descriptor, text);
  }
  closeSync(descriptor);
  return path;
}

/** Every index from 0 to count − 1 once, in an order that jumps about. */
const scattered = (index, count) => (index * 7_368_787 + 12_345) % count;
const uniform = generator(1);
const reward = () => uniform() + uniform() * 2 ** -20;
const rewards = (count) => Array.from({ length: count }, reward).join(',');

function measure(title, args, files) {
  const peak =
    'data:text/javascript,process.on("exit",()=>process.stderr.write(`peak ${process.resourceUsage().maxRSS}`))';
  const start = performance.now();
  const { status, stderr, stdout } = spawnSync(process.execPath, ['--import', peak, values.program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, TMPDIR: folder },
  });
  const seconds = (performance.now() - start) / 1000;
  if (status !== 0) throw new Error(`${title}: exit code ${status}\n${stderr}`);
  const megabytes = files.reduce((sum, file) => sum + statSync(file).size, 0) / 1e6;
  const resident = Number(/peak (\d+)/.exec(stderr)[1]) / 1024;
  console.log(
    `${title.padEnd(64)} ${megabytes.toFixed(0).padStart(6)} MB  ${seconds.toFixed(1).padStart(6)} s  ${resident.toFixed(0).padStart(5)} MiB`,
  );
  return stdout;
}

try {
  const wide = ['policy', 'reference'].map((name) =>
    writeLines(`wide-${name}.jsonl`, 100_000, (index) => `{"prompt_id":"prompt-${index}","rewards":[${rewards(128)}]}`),
  );
  const wideArgs = ['--policy', wide[0], '--reference', wide[1], '--procedure', 'won:4', '--json'];
  measure('win-rate, 100,000 prompts of 128 rewards in both files', ['win-rate', ...wideArgs], wide);
  measure('  the same with 16 MiB of memory', ['win-rate', ...wideArgs, '--memory', '16'], wide);
  for (const file of wide) rmSync(file);

  const prompts = Math.ceil(lines / 10);
  const output = join(folder, 'calibrated.jsonl');
  const rollouts = writeLines(
    'rollouts.jsonl',
    lines,
    (index) => `{"prompt_id":"prompt-${scattered(index, lines) % prompts}","sample":${index},"reward":${reward()}}`,
  );
  const few = writeLines('few.jsonl', prompts, (index) => `{"prompt_id":"prompt-${index}","rewards":[${rewards(8)}]}`);
  const calibrate = ['calibrate', '--rollouts', rollouts, '--reference', few, '--out', output, '--transform', 'exp:10'];
  measure(`calibrate, ${lines} rollouts, ${prompts} prompts of 8 rewards`, calibrate, [rollouts, few]);
  measure('  the same with 16 MiB of memory', [...calibrate, '--memory', '16'], [rollouts, few]);
  for (const file of [rollouts, few, output]) rmSync(file);

  const many = [11, 13].map((seed, side) =>
    writeLines(
      `many-${side}.jsonl`,
      lines,
      (index) => `{"prompt_id":${scattered(index + seed, lines)},"rewards":[${rewards(4)}]}`,
    ),
  );
  const manyArgs = ['win-rate', '--policy', many[0], '--reference', many[1], '--procedure', 'bon:4', '--json'];
  measure(`win-rate, ${lines} prompts of 4 rewards in both files, scattered`, manyArgs, many);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
