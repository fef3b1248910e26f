// Measures iterations of PPO beside TRL. `node tools/bench/ppo/run.mjs --help`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { wholeNumber } from '../../workspace/options.mjs';
import { script } from '../../workspace/workspace.mjs';
import { machine } from '../machine.mjs';
import { tellResult } from '../peers/tell.mjs';
import { measurePpo } from './measure-ppo.mjs';

const help = `Usage: npm run -s bench:ppo -- [OPTIONS]

Measures whole iterations of PPO beside PPOTrainer of TRL, with as many threads on each side: 64 prompts of 48 tokens, a
response of 48 tokens to each, a reward model, log-probabilities of the reference policy, values, advantages, and 4 epochs of 4
minibatches. Policy and reward model have the shape small of bench:model: first both sides have to agree on what they give.

TRL learns values with a model of its own, as large as the policy; ours are a head on the policy. Ours calibrates and
transforms the rewards, which TRL does not; the references of the calibration are sampled once, before the iterations.

Turns alternate; one side computes at a time. What is told is the median of the rounds. Measure on a machine that does
nothing else. The first time makes a Python environment in .cache/ (some minutes, 7 GB).

Options:
  --rounds N       default: 5
  --threads N      of each side: default: 2
  --json           write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}]}
  --help           show this

The committed baseline is tools/bench/baselines/ppo.json; ratios are told beside its ratios.
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
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
  const folder = mkdtempSync(join(tmpdir(), 'infalign-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const tell = (text) => process.stderr.write(`${text}\n`);
  const { versions, rows } = await measurePpo({ folder, rounds, threads, tell });
  tellResult({ name: 'ppo', json: values.json, machine: { ...machine(), threads, versions }, rows });
});
