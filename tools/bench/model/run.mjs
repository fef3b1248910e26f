// Measures training and sampling beside PyTorch. `node tools/bench/model/run.mjs --help`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { knownNames, oneOf, wholeNumber } from '../../workspace/options.mjs';
import { script } from '../../workspace/workspace.mjs';
import { devices } from '../device.mjs';
import { machine } from '../machine.mjs';
import { tellResult } from '../peers/tell.mjs';
import { cases } from './cases.mjs';
import { measureModel } from './measure-model.mjs';

const defaultCases = 'small,medium,smollm2';
const help = `Usage: npm run -s bench:model -- [OPTIONS]

Measures training and sampling of a language model beside PyTorch, on the same weights, the same device and with as many
threads:

  training    optimiser steps: next-token cross-entropy, gradients clipped to a norm of 1, Adam
  sampling    prompts of equal length, temperature 1, with a KV cache

  small       d = 128, 4 layers, vocabulary of 2,048; 32 sequences of 96 tokens; 64 prompts of 48 tokens, 48 new
  medium      d = 384, 6 layers, vocabulary of 4,096; 32 sequences of 128 tokens; 64 prompts of 64 tokens, 64 new
  smollm2     the shape of SmolLM2-135M; 8 sequences of 128 tokens; 64 prompts of 32 tokens, 32 new

  smollm2-large   the same, eight times as many sequences and prompts: for GPUs

The peer is a model written for PyTorch with fused projections, scaled_dot_product_attention, a preallocated cache and fused
Adam; as it is, and through torch.compile. It draws tokens by torch.multinomial, and (own draw) in a way of its own, which is
several times faster. First the sides have to agree: in every log-probability, and in loss and gradient of a step.

Turns alternate; one side computes at a time. What is told is the median of the rounds. Measure on a machine that does
nothing else. The first time makes a Python environment in .cache/ (some minutes, 7 GB).

Options:
  --rounds N       default: 5
  --threads N      of each side: default: 2
  --cases LIST     default: ${defaultCases}
  --device DEVICE  cpu or gpu; default: cpu. A GPU needs \`npm run setup -- --gpu\`
  --json           write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}]}
  --help           show this

The committed baselines are model.json, model-avx2.json (a processor without AVX-512) and model-gpu.json in
tools/bench/baselines; ratios are told beside those of the first, or on a GPU the last.
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      cases: { type: 'string', default: defaultCases },
      device: { type: 'string', default: 'cpu' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const names = knownNames('cases', values.cases, cases);
  const device = oneOf('device', values.device, devices);
  const threads = wholeNumber('threads', values.threads, 1);
  const rounds = wholeNumber('rounds', values.rounds, 1);
  const folder = mkdtempSync(join(tmpdir(), 'infalign-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const measured = await measureModel({
    folder,
    names,
    rounds,
    threads,
    device,
    tell: (text) => process.stderr.write(`${text}\n`),
  });
  const name = device === 'gpu' ? 'model-gpu' : 'model';
  tellResult({
    name,
    json: values.json,
    machine: { ...machine(), threads, ...measured.machine },
    rows: measured.rows,
  });
});
