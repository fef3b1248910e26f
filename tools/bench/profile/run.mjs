// Measures where the time of training and sampling goes. `node tools/bench/profile/run.mjs --help`
import { parseArgs } from 'node:util';
import { knownNames } from '../../workspace/options.mjs';
import { script } from '../../workspace/workspace.mjs';
import { machine } from '../machine.mjs';
import { cases } from '../model/cases.mjs';
import { runOurs } from '../our-process.mjs';
import { tellResult } from '../peers/tell.mjs';
import { kernelOf } from './kernels.mjs';

const help = `Usage: npm run -s bench:profile -- [OPTIONS]

Measures where the time of an optimiser step and of sampling goes, on one thread, from what oneDNN tells of every kernel:

  weights     products with weights; ratio is their speed as a part of that of a product of large matrices
  attention   products of queries, keys, probabilities and values; ratio is the speed at which their operands and results pass, as a
              part of that at which memory is read and written
  other       softmax and other kernels of oneDNN
  overhead    all else: TensorFlow's own operations, its executor, and JavaScript

ours is the share of the whole.

Options:
  --cases LIST   default: small,medium; also: ${Object.keys(cases)
    .filter((name) => name !== 'small' && name !== 'medium')
    .join(',')}
  --json         write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}]}
  --help         show this

The committed result is tools/bench/baselines/profile.json.
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      cases: { type: 'string', default: 'small,medium' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const names = knownNames('cases', values.cases, cases);
  const { end: limits } = profiled({ kind: 'limits' }, false);
  const rows = names.flatMap((name) => ['training', 'sampling'].flatMap((kind) => profile({ name, kind }, limits)));
  const most = { gigaflops: rounded(limits.gigaflops), gigabytes: rounded(limits.gigabytes) };
  tellResult({ name: 'profile', json: values.json, machine: { ...machine(), threads: 1, most }, rows });
});

function profile({ name, kind }, { gigaflops, gigabytes }) {
  // What is told of kernels takes time itself: the whole is that of a run that tells nothing.
  const { end: whole } = profiled({ name, kind }, false);
  const { kernels } = profiled({ name, kind }, true);
  const sums = Object.fromEntries(
    ['weights', 'attention', 'other'].map((of) => {
      const all = kernels.filter((kernel) => kernel.kind === of);
      const total = (what) => all.reduce((sum, kernel) => sum + kernel[what], 0);
      return [of, { milliseconds: total('milliseconds'), operations: total('operations'), bytes: total('bytes') }];
    }),
  );
  const inKernels = Object.values(sums).reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const row = (part, milliseconds, peer, value, ratio) => ({
    case: `${name}, ${kind}: ${part}`,
    ours: rounded(milliseconds / whole.milliseconds),
    peer,
    peer_value: value,
    unit: 'of the time',
    ratio,
  });
  const { weights, attention, other } = sums;
  const speed = weights.operations / weights.milliseconds / 1e6;
  const flow = attention.bytes / attention.milliseconds / 1e6;
  return [
    row('weights', weights.milliseconds, 'GFLOP/s', rounded(speed), rounded(speed / gigaflops)),
    row('attention', attention.milliseconds, 'GB/s', rounded(flow), rounded(flow / gigabytes)),
    row('other kernels', other.milliseconds, null, null, null),
    row('overhead', whole.milliseconds - inKernels, null, null, null),
  ];
}

/** Runs some work in a process of its own. @param {boolean} verbose whether oneDNN tells of its kernels */
function profiled(request, verbose) {
  const stdout = runOurs('tools/bench/profile/profiled.mjs', {
    input: request,
    threads: 1,
    environment: { ONEDNN_VERBOSE: verbose ? '1' : '0' },
  });
  const lines = stdout.split('\n');
  const kernels = lines
    .slice(lines.indexOf('begin') + 1)
    .map(kernelOf)
    .filter((kernel) => kernel !== undefined);
  const end = lines.find((line) => line.startsWith('end '));
  return { kernels, end: JSON.parse(end.slice('end '.length)) };
}

function rounded(value) {
  return Number(value.toPrecision(3));
}
