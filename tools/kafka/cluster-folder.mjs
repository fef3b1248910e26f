import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { certificates } from './certificates.mjs';
import { recordedPid, stopProcesses } from './node-process.mjs';
import { listeners } from './settings.mjs';

const username = 'infalign';

/** @param {string} folder @param {number} id */
export function nodeFolder(folder, id) {
  return join(folder, `node-${id}`);
}

/** @param {string} folder @param {number} id */
export function dataFolder(folder, id) {
  return join(nodeFolder(folder, id), 'data');
}

/**
 * What stays the same over all starts of a folder's cluster: made at the first.
 *
 * @param {string} folder
 * @param {number} count of nodes
 */
export function clusterIdentity(folder, count) {
  mkdirSync(folder, { recursive: true });
  const { clusterId, nodes, ports } = readRecord(folder) ?? {
    // Kafka's form of a UUID; one that begins with '-' would look like an option to its tools.
    clusterId: `A${randomBytes(16).toString('base64url').slice(1)}`,
    nodes: count,
  };
  if (nodes !== count) {
    throw new Error(
      `${folder} holds a cluster of ${nodes} ${nodes === 1 ? 'node' : 'nodes'}, and ${count} are asked for: ` +
        'choose another folder, or remove this one',
    );
  }
  writeRecord(folder, { clusterId, nodes, ports });
  const passwordFile = join(folder, 'password');
  if (!existsSync(passwordFile)) {
    writeFileSync(passwordFile, randomBytes(18).toString('base64url'), { mode: 0o600 });
  }
  const scram = { username, password: readFileSync(passwordFile, 'utf8') };
  return { clusterId, ports, scram, tls: certificates(join(folder, 'tls')) };
}

/** Remembers where the nodes listen, for their next start and for `clusterStatus`. */
export function recordPorts(folder, ports) {
  writeRecord(folder, { ...readRecord(folder), ports });
}

/** @param {Record<string, number>[]} ports @param {string[]} proxied the addresses of the fault proxies */
export function brokerAddresses(ports, proxied) {
  const groups = listeners.filter(({ group }) => group !== undefined);
  const addresses = ({ name }) => ports.map((node) => `127.0.0.1:${node[name]}`);
  return { ...Object.fromEntries(groups.map((listener) => [listener.group, addresses(listener)])), proxied };
}

/** @type {typeof import('./index.d.mts').clusterStatus} */
export function clusterStatus(folder) {
  const absolute = resolve(folder);
  const record = readRecord(absolute);
  if (record === undefined) return undefined;
  const { ports = [], scram, tls } = clusterIdentity(absolute, record.nodes);
  const nodes = nodeIds(record).map((id) => {
    const pid = recordedPid(nodeFolder(absolute, id));
    return { id, pid, residentMebibytes: pid === undefined ? undefined : residentMebibytes(pid) };
  });
  return { brokers: brokerAddresses(ports, []), tls: tls.files, scram, nodes };
}

function residentMebibytes(pid) {
  try {
    return Math.round(Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' })) / 1024);
  } catch {
    return undefined;
  }
}

/** @type {typeof import('./index.d.mts').stopCluster} */
export async function stopCluster(folder) {
  const absolute = resolve(folder);
  const pids = nodeIds(readRecord(absolute))
    .map((id) => recordedPid(nodeFolder(absolute, id)))
    .filter((pid) => pid !== undefined);
  await stopProcesses(pids);
  return pids.length;
}

function nodeIds(record) {
  return Array.from({ length: record?.nodes ?? 0 }, (_, index) => index + 1);
}

function readRecord(folder) {
  const file = join(folder, 'cluster.json');
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

function writeRecord(folder, record) {
  const file = join(folder, 'cluster.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}
