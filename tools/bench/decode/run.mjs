// Measures decoding of SmolLM2-135M beside transformers and llama.cpp. `node tools/bench/decode/run.mjs --help`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { wholeNumber } from '../../workspace/options.mjs';
import { script } from '../../workspace/workspace.mjs';
import { machine } from '../machine.mjs';
import { tellResult } from '../peers/tell.mjs';
import { measureDecode } from './measure-decode.mjs';

const help = `Usage: npm run -s bench:decode -- [OPTIONS]

Measures how fast SmolLM2-135M-Instruct responds, with as many threads on each side: prompts of 32 tokens, 64 new tokens each,
temperature 1, no token left out. Told are new tokens a second, reading the prompts included. The peers:

  transformers generate        the same 32-bit weights; first every log-probability has to agree
  llama.cpp, 16-bit weights    through node-llama-cpp, which brings it compiled: faster there than with 32 bits, less exact
  llama.cpp, 4-bit weights     the file as it is published: an eighth to read, and still less exact

Turns alternate; one side computes at a time. What is told is the median of the rounds. Measure on a machine that does
nothing else. The first time fills .cache/ with a Python environment, node-llama-cpp and the model (some minutes, 7 GB).

Options:
  --rounds N       default: 5
  --threads N      of each side: default: 2
  --batches LIST   prompts at once: default: 1,16,64
  --json           write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}]}
  --help           show this

The committed baseline is tools/bench/baselines/decode.json; ratios are told beside its ratios.
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      batches: { type: 'string', default: '1,16,64' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const threads = wholeNumber('threads', values.threads, 1);
  const rounds = wholeNumber('rounds', values.rounds, 1);
  const batches = values.batches.split(',').map((text) => wholeNumber('batches', text, 1));
  const folder = mkdtempSync(join(tmpdir(), 'infalign-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const tell = (text) => process.stderr.write(`${text}\n`);
  const { versions, rows } = await measureDecode({ folder, batches, rounds, threads, tell });
  tellResult({ name: 'decode', json: values.json, machine: { ...machine(), threads, versions }, rows });
});
