import { spawn } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  brokerAddresses,
  clusterIdentity,
  dataFolder,
  nodeFolder,
  recordPorts,
  stopCluster,
} from './cluster-folder.mjs';
import { startFaultProxy } from './fault-proxy.mjs';
import { nodeProcess, PortTakenError, stopProcesses } from './node-process.mjs';
import { freePorts, isFree } from './ports.mjs';
import { java } from './jars.mjs';
import { listeners, logSettings, serverProperties } from './settings.mjs';

const portAttempts = 5;

/** @param {string} jars @returns {string} the file of Kafka's classes in the form in which Java loads them quickly */
export function classArchive(jars) {
  return join(jars, 'classes.jsa');
}

/**
 * `startCluster`, with jars that are there.
 *
 * @param {string} jars their folder
 * @param {import('./index.d.mts').ClusterOptions} options
 * @returns {Promise<import('./index.d.mts').KafkaCluster>}
 */
export async function launchCluster(jars, options) {
  const folder = resolve(options.folder);
  const { nodes: count = 1, properties = {}, proxied = false, detached = false } = options;
  const { heapMebibytes = 256, timeoutSeconds = 90, javaOptions: moreJavaOptions = [] } = options;
  if (proxied && detached) throw new Error('A fault proxy ends with its process: a cluster is proxied or detached.');
  await stopCluster(folder);
  const identity = clusterIdentity(folder, count);
  const logSettingsFile = join(folder, 'log4j2.properties');
  writeFileSync(logSettingsFile, logSettings);
  const javaOptions = [
    `-Dlog4j2.configurationFile=${logSettingsFile}`,
    '-Djava.awt.headless=true',
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    '-XX:+ExitOnOutOfMemoryError',
    `-Xmx${heapMebibytes}m`,
    ...(existsSync(classArchive(jars)) ? [`-XX:SharedArchiveFile=${classArchive(jars)}`] : []),
    ...['-cp', join(jars, '*')],
  ];
  const nodes = Array.from({ length: count }, (_, index) =>
    nodeProcess({
      id: index + 1,
      folder: nodeFolder(folder, index + 1),
      javaOptions: [...javaOptions, ...moreJavaOptions],
      timeoutSeconds,
    }),
  );
  const watchdog = detached ? undefined : startWatchdog(folder);
  let proxies = [];

  const attempt = async (ports) => {
    if (proxied) {
      proxies = await Promise.all(ports.map(({ PROXIED: port }) => startFaultProxy({ target: `127.0.0.1:${port}` })));
    }
    for (const { id } of nodes) {
      const settings = serverProperties({
        id,
        ports,
        advertised: proxied ? { PROXIED: proxies[id - 1].address } : {},
        dataFolder: dataFolder(folder, id),
        ca: identity.tls.files.ca,
        serverKeystore: identity.tls.serverKeystore,
        properties,
      });
      writeFileSync(propertiesFile(folder, id), settings);
    }
    await Promise.all(nodes.map(({ id }) => format({ folder, id, identity, javaOptions })));
    for (const node of nodes) node.launch();
    await Promise.all(nodes.map((node) => node.ready()));
  };
  const kill = async () => {
    await Promise.all(nodes.map((node) => node.kill()));
    await Promise.all(proxies.map((proxy) => proxy.close()));
  };

  const ports = await withFreePorts({ recorded: identity.ports, count, proxied }, attempt, kill).catch((error) => {
    watchdog?.kill();
    throw error;
  });
  recordPorts(folder, ports);
  nodes.forEach((node, index) => Object.assign(node, { proxy: proxies[index] }));

  return {
    folder,
    brokers: brokerAddresses(
      ports,
      proxies.map(({ address }) => address),
    ),
    tls: identity.tls.files,
    scram: identity.scram,
    node(id) {
      const node = nodes[id - 1];
      if (node === undefined) throw new Error(`This cluster has nodes 1 to ${count}, and no node ${id}.`);
      return node;
    },
    async stop() {
      await stopProcesses(nodes.map(({ pid }) => pid).filter((pid) => pid !== undefined));
      await kill();
      watchdog?.kill();
    },
  };
}

function propertiesFile(folder, id) {
  return join(nodeFolder(folder, id), 'server.properties');
}

/**
 * Tries the ports that the folder's cluster had, if they are free, and else others, until none is taken by another
 * process between the look at it and the node's start.
 */
async function withFreePorts({ recorded, count, proxied }, attempt, cleanUp) {
  const names = listeners.map(({ name }) => name).filter((name) => proxied || name !== 'PROXIED');
  for (let attempts = 1; ; attempts++) {
    const ports = (attempts === 1 && (await stillFree(recorded, names))) || (await choosePorts(count, names));
    try {
      await attempt(ports);
      return ports;
    } catch (error) {
      await cleanUp();
      if (!(error instanceof PortTakenError) || attempts === portAttempts) throw error;
    }
  }
}

async function stillFree(recorded, names) {
  if (recorded === undefined) return undefined;
  const numbers = recorded.flatMap((node) => names.map((name) => node[name]));
  if (numbers.includes(undefined)) return undefined;
  const free = await Promise.all(numbers.map(isFree));
  return free.every(Boolean)
    ? recorded.map((node) => Object.fromEntries(names.map((name) => [name, node[name]])))
    : undefined;
}

async function choosePorts(count, names) {
  const ports = await freePorts(count * names.length);
  return Array.from({ length: count }, () => Object.fromEntries(names.map((name) => [name, ports.pop()])));
}

/** Prepares a node's data folder, with the user of the SASL listeners. Does nothing to one that is prepared. */
async function format({ folder, id, identity, javaOptions }) {
  const data = dataFolder(folder, id);
  if (existsSync(join(data, 'meta.properties'))) return;
  const { clusterId, scram } = identity;
  const credentials = `[name=${scram.username},password=${scram.password}]`;
  const argumentsFile = join(nodeFolder(folder, id), 'format.arguments');
  const toolArguments = [
    ...['kafka.tools.StorageTool', 'format', '-t', clusterId, '-c', propertiesFile(folder, id)],
    ...['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => ['--add-scram', `${mechanism}=${credentials}`]),
  ];
  // From a file, because a command line, with the password in it, is for every user of the machine to see.
  writeFileSync(argumentsFile, toolArguments.map((argument) => JSON.stringify(argument)).join('\n'), { mode: 0o600 });
  try {
    await run(java, [...javaOptions, `@${argumentsFile}`]);
  } catch (error) {
    rmSync(data, { recursive: true, force: true });
    throw error;
  } finally {
    rmSync(argumentsFile);
  }
}

function run(command, commandArguments) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, commandArguments, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else
        reject(new Error(`Kafka's storage could not be prepared:\n${output.trim().split('\n').slice(-15).join('\n')}`));
    });
  });
}

/**
 * Kills the nodes when this process ends, however it ends: its end of the pipe closes even with SIGKILL.
 *
 * @param {string} folder
 */
function startWatchdog(folder) {
  const script = 'cat > /dev/null; for file in "$0"/node-*/pid; do kill -9 "$(cat "$file")"; done 2> /dev/null';
  const watchdog = spawn('sh', ['-c', script, folder], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  watchdog.unref();
  watchdog.stdin.unref();
  return watchdog;
}
