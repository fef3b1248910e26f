import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../workspace/workspace.mjs';

const version = '4.3.1';
const cache = join(root, '.cache', `kafka-${version}`);
const pom = join(root, 'tools', 'kafka', 'pom.xml');
// Not the version that Maven would choose for itself: that depends on Maven's own.
const copyJars = 'org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies';

/** The Java that runs Kafka. */
export const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java';

/** @type {typeof import('./index.d.mts').kafkaAvailable} */
export function kafkaAvailable() {
  const missing = [];
  const found = javaVersion();
  if (found === undefined || found < 17) {
    missing.push(
      `Kafka ${version} needs Java 17 or later, and there is ${found === undefined ? 'none' : `Java ${found}`}: ` +
        'install a JRE (Debian: openjdk-17-jre-headless) or set JAVA_HOME',
    );
  }
  if (!existsSync(cache) && spawnSync('mvn', ['--version'], { stdio: 'ignore' }).status !== 0) {
    missing.push(`Maven fetches Kafka ${version} from Maven Central, and mvn is not on the PATH (Debian: maven)`);
  }
  return missing.length === 0 ? { ok: true } : { ok: false, missing };
}

/** @returns {number | undefined} Java's major version */
function javaVersion() {
  const { status, stderr } = spawnSync(java, ['-version'], { encoding: 'utf8' });
  const major = /version "(\d+)/.exec(stderr ?? '')?.[1];
  return status === 0 && major !== undefined ? Number(major) : undefined;
}

/**
 * Fetches Kafka's jars, unless they are here. Of several processes that do so at once, one puts its copy in place.
 *
 * @returns {Promise<{ jars: string, fetched: boolean }>} their folder, and whether it is this call that put it there
 */
export async function fetchJars() {
  if (existsSync(cache)) return { jars: cache, fetched: false };
  const available = kafkaAvailable();
  if (!available.ok) throw new Error(available.missing.join('\n'));
  mkdirSync(dirname(cache), { recursive: true });
  const work = mkdtempSync(`${cache}-partial-`);
  try {
    await runMaven(['-f', pom, copyJars, '-DincludeScope=runtime', `-DoutputDirectory=${work}`]);
    return { jars: cache, fetched: place(work) };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function place(work) {
  try {
    renameSync(work, cache);
    return true;
  } catch (error) {
    // Another process was faster: its copy is complete, as it was renamed too.
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    return false;
  }
}

/** @param {string[]} arguments_ */
function runMaven(arguments_) {
  return new Promise((resolve, reject) => {
    const maven = spawn('mvn', ['--quiet', '--batch-mode', ...arguments_], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [maven.stdout, maven.stderr]) stream.on('data', (text) => (output += text));
    maven.on('error', reject);
    maven.on('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`Maven could not fetch Kafka ${version}:\n${output.trim()}`)),
    );
  });
}
