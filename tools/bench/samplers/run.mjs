// Measures how much faster two policy-samplers are than one. `node tools/bench/samplers/run.mjs --help`
import { parseArgs } from 'node:util';
import { kafkaAvailable } from '../../kafka/index.mjs';
import { buildWorkspace } from '../../workspace/install.mjs';
import { script } from '../../workspace/workspace.mjs';
import { machine } from '../machine.mjs';
import { wholeNumber } from '../../workspace/options.mjs';

const help = `Usage: npm run -s bench:samplers -- [OPTIONS]

Has one policy-sampler of one thread carry out runs of reference rollouts over a broker, and counts what it makes. Then a
second one joins it, and what both make is counted; it is killed (SIGKILL), and so on, round and round. In the end every
rollout of the runs has to be there, once, whoever came and went. Needs two cores that do nothing else.

Options:
  --rounds N       default: 3; what is told is the median of the rates, and of the ratios within a round
  --seconds N      how long is counted each time: default: 20
  --json           write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}], lost, doubled};
                   the peer of two samplers is one
  --help           show this

The exit code is 1 if a rollout is lost or doubled. The committed baseline is tools/bench/baselines/samplers.json.
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '20' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const kafka = kafkaAvailable();
  if (!kafka.ok) throw new Error(kafka.missing.join('\n'));
  buildWorkspace();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const { measureSamplers } = await import('./measure-samplers.mjs');
  const { rows, lost, doubled } = await measureSamplers({
    rounds: wholeNumber('rounds', values.rounds, 1),
    seconds: wholeNumber('seconds', values.seconds, 1),
    tell: (text) => process.stderr.write(`${text}\n`),
  });
  const [{ ours, peer_value, ratio }] = rows;
  process.stdout.write(
    values.json
      ? `${JSON.stringify({ machine: machine(), rows, lost, doubled }, undefined, 2)}\n`
      : `two samplers ${ours}, one ${peer_value} rollouts/s: ratio ${ratio}; lost ${lost}, doubled ${doubled}\n`,
  );
  return lost + doubled === 0 ? 0 : 1;
});
