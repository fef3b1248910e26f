// A Kafka cluster for development, from the command line. `node tools/kafka/cluster.mjs --help`
import { existsSync, rmSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { oneOf } from '../workspace/options.mjs';
import { root, script, step } from '../workspace/workspace.mjs';
import { clusterStatus, provisionKafka, startCluster, stopCluster } from './index.mjs';

const help = `Usage: node tools/kafka/cluster.mjs COMMAND [OPTIONS]

Runs Apache Kafka on this machine, reachable from this machine only. It needs Java 17 and, the first time, Maven.

Commands:
  start     start the nodes, unless they run, and tell their addresses; they go on after this command
  status    tell addresses and processes
  stop      stop the nodes; their data stay
  wipe      stop the nodes and remove their folder

Options:
  --folder PATH    where data, logs, certificates and the password are kept (default: .cache/kafka-dev)
  --nodes N        1 or 3, at the first start (default: 1)
  --json           tell addresses and processes as JSON
  --help           show this

Examples:
  node tools/kafka/cluster.mjs start --nodes 3
  node tools/kafka/cluster.mjs wipe
`;

const commands = {
  async start({ folder, nodes, json }) {
    const before = clusterStatus(folder);
    if (before === undefined || before.nodes.some(({ pid }) => pid === undefined)) {
      await provisionKafka();
      await step('starting Kafka', () =>
        startCluster({ folder, nodes: nodes ?? before?.nodes.length ?? 1, detached: true }),
      );
    } else if (nodes !== undefined && nodes !== before.nodes.length) {
      throw new Error(
        `A cluster of ${before.nodes.length} runs on ${folder}: wipe it first, or choose another --folder.`,
      );
    }
    tell(clusterStatus(folder), { folder, json });
  },
  async status({ folder, json }) {
    const status = clusterStatus(folder);
    if (status === undefined) throw new Error(`There is no cluster in ${folder}: start one.`);
    tell(status, { folder, json });
  },
  async stop({ folder }) {
    const stopped = await stopCluster(folder);
    process.stdout.write(stopped === 0 ? 'nothing ran\n' : `stopped ${stopped}\n`);
  },
  async wipe({ folder }) {
    // Only what a cluster made: a mistyped folder is not removed.
    if (existsSync(folder) && clusterStatus(folder) === undefined) throw new Error(`${folder} holds no cluster.`);
    await stopCluster(folder);
    rmSync(folder, { recursive: true, force: true });
  },
};

function tell(status, { folder, json }) {
  if (json) {
    process.stdout.write(`${JSON.stringify(status, null, 2)}\n`);
    return;
  }
  const path = (file) => relative(process.cwd(), file) || '.';
  const rows = [
    ...status.nodes.map(({ id, pid, residentMebibytes }) => [
      `node ${id}`,
      pid === undefined ? 'does not run' : `runs (pid ${pid}, ${residentMebibytes ?? '?'} MiB)`,
    ]),
    ['plaintext', status.brokers.plaintext.join(',')],
    ['SASL/SCRAM', status.brokers.sasl.join(',')],
    ['SASL/SCRAM over TLS', status.brokers.saslTls.join(',')],
    ['TLS with client certificate', status.brokers.tls.join(',')],
    ['SCRAM user', `${status.scram.username}, password in ${path(join(folder, 'password'))}`],
    ['certificates', [status.tls.ca, status.tls.clientCert, status.tls.clientKey].map(path).join(', ')],
  ];
  const width = Math.max(...rows.map(([title]) => title.length)) + 2;
  process.stdout.write(rows.map(([title, value]) => `${title.padEnd(width)}${value}\n`).join(''));
}

function nodeCount(text) {
  return text === undefined ? undefined : Number(oneOf('nodes', text, ['1', '3']));
}

await script(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      folder: { type: 'string', default: join(root, '.cache', 'kafka-dev') },
      nodes: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [command, ...more] = positionals;
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  if (!Object.hasOwn(commands, command ?? '') || more.length > 0) {
    throw new Error(`${positionals.join(' ') || 'No command'}: the commands are ${Object.keys(commands).join(', ')}.`);
  }
  await commands[command]({ folder: resolve(values.folder), nodes: nodeCount(values.nodes), json: values.json });
});
