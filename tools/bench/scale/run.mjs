// Measures how time and memory grow. `node tools/bench/scale/run.mjs --help`
import { parseArgs } from 'node:util';
import { knownNames, wholeNumber } from '../../workspace/options.mjs';
import { script } from '../../workspace/workspace.mjs';
import { machine } from '../machine.mjs';
import { median } from '../median.mjs';
import { runOurs } from '../our-process.mjs';
import { tellResult } from '../peers/tell.mjs';
import { fittedExponent, pointOf, series } from './series.mjs';

const help = `Usage: npm run -s bench:scale -- [OPTIONS]

Measures how the time and the memory of an optimiser step and of sampling grow with the model and the batch, and fits the
exponent of each growth: time ~ sizeᵇ. Every point is a process of its own. And it measures what sharing saves: 100 responses
to one prompt beside one response to each of 100 prompts, prompts as long as responses, of several lengths.

  exponents   ours is the exponent; below 1, twice the size takes less than twice the time
  sharing     ours and peer_value are seconds; the ratio says how many times as fast the shared prompt is

Options:
  --repetitions N   of each measurement, of which the median is taken; default: 5
  --threads N       default: 2
  --series LIST     default: ${Object.keys(series).join(',')}
  --json            write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}]}
  --help            show this

The committed baseline is tools/bench/baselines/scale.json.
`;

/** Tokens of prompts and responses for which it is measured what sharing saves. */
const sharedLengths = [48, 128, 256];

await script(async () => {
  const { values } = parseArgs({
    options: {
      repetitions: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      series: { type: 'string', default: Object.keys(series).join(',') },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const names = knownNames('series', values.series, series);
  const threads = wholeNumber('threads', values.threads, 1);
  const repetitions = wholeNumber('repetitions', values.repetitions, 1);
  const rows = names.flatMap((name) => growth(name, { threads, repetitions }));
  rows.push(...sharedLengths.map((tokens) => sharing(tokens, { threads, repetitions })));
  tellResult({ name: 'scale', json: values.json, machine: { ...machine(), threads }, rows });
});

/** The growth of time and memory along one series. */
function growth(name, options) {
  const { work, values, note } = series[name];
  const points = values.map((value) => {
    const point = measured(pointOf(name, value), options);
    process.stderr.write(
      `${work}, ${name} ${value}: ${(1000 * point.seconds).toFixed(1)} ms, ${point.mebibytes.toFixed(0)} MiB\n`,
    );
    return point;
  });
  const range = `${values[0]} to ${values.at(-1)} ${name}${note === undefined ? '' : ` ${note}`}`;
  return ['seconds', 'mebibytes'].map((what) => ({
    case: `${what === 'seconds' ? 'time' : 'memory'} of ${work}, ${range}`,
    ours: round(
      fittedExponent(
        values,
        points.map((point) => point[what]),
      ),
    ),
    peer: null,
    peer_value: null,
    unit: 'exponent',
    ratio: null,
  }));
}

/** Responses to one prompt beside as many prompts, in turn. @param {number} tokens of a prompt, and of a response */
function sharing(tokens, { threads, repetitions }) {
  const count = 100;
  const rounds = Array.from({ length: 3 }, () => {
    const point = { ...pointOf('prompts', 1), tokens };
    return {
      shared: measured({ ...point, prompts: 1, samples: count }, { threads, repetitions }).seconds,
      unshared: measured({ ...point, prompts: count, samples: 1 }, { threads, repetitions }).seconds,
    };
  });
  const [shared, unshared] = ['shared', 'unshared'].map((which) => median(rounds.map((each) => each[which])));
  return {
    case: `sampling ${count} responses to one prompt, ${tokens} tokens each`,
    ours: round(shared),
    peer: `one to each of ${count} prompts`,
    peer_value: round(unshared),
    unit: 's',
    ratio: round(unshared / shared),
  };
}

function measured(point, { threads, repetitions }) {
  return JSON.parse(runOurs('tools/bench/scale/point.mjs', { input: { ...point, repetitions }, threads }));
}

function round(value) {
  return Number(value.toPrecision(3));
}
