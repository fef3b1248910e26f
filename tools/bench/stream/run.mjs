// Measures the Kafka stream beside Kafka's own Java tools. `node tools/bench/stream/run.mjs --help`
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { kafkaAvailable } from '../../kafka/index.mjs';
import { buildWorkspace } from '../../workspace/install.mjs';
import { script } from '../../workspace/workspace.mjs';
import { machine } from '../machine.mjs';
import { wholeNumber } from '../../workspace/options.mjs';

const help = `Usage: npm run -s bench:stream -- [OPTIONS]

Measures the Kafka stream on one broker on this machine, beside the Java performance tools that come with Kafka:

  producing     records of 1 KiB and of 8 KiB, six partitions, acknowledged by all replicas; ours in transactions,
                the peer's idempotent; both in batches of up to 256 KiB. What is sent is random and does not shrink: ours
                finds that out, the peer is told not to compress
  consuming     the same topic, committed records only; in both cases from the first record on, after whatever a group does
  stages        a stage that copies records, each batch one transaction with its position (there is no such Java tool)
  latency       from the append of a record to its arrival behind three such stages, at 100 records a second

Ours and the peer's turn alternate; what is told is the median of the rounds. Measure on a machine that does nothing else.

Options:
  --rounds N       default: 3
  --mebibytes N    of records in each turn: default: 256
  --seconds N      how long the latency is measured: default: 30
  --json           write one JSON object: {machine, rows: [{case, ours, peer, peer_value, unit, ratio}]}
  --help           show this

The committed baseline is tools/bench/baselines/stream.json.
`;

await script(async () => {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      mebibytes: { type: 'string', default: '256' },
      seconds: { type: 'string', default: '30' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  const kafka = kafkaAvailable();
  if (!kafka.ok) throw new Error(kafka.missing.join('\n'));
  buildWorkspace();
  const { measureStream } = await import('./measure-stream.mjs');
  const folder = mkdtempSync(join(tmpdir(), 'infalign-bench-'));
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const rows = await measureStream({
    folder,
    rounds: wholeNumber('rounds', values.rounds, 1),
    mebibytes: wholeNumber('mebibytes', values.mebibytes, 1),
    seconds: wholeNumber('seconds', values.seconds, 1),
    tell: (text) => process.stderr.write(`${text}\n`),
  });
  process.stdout.write(values.json ? `${JSON.stringify({ machine: machine(), rows }, undefined, 2)}\n` : table(rows));
});

function table(rows) {
  return rows
    .map(({ case: name, ours, peer, peer_value, unit, ratio }) => {
      const beside = peer ? `   ${peer}: ${peer_value} ${unit}, ratio ${ratio}` : '';
      return `${name.padEnd(46)} ${String(ours).padStart(9)} ${unit}${beside}\n`;
    })
    .join('');
}
