import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fetchJars } from './jars.mjs';
import { classArchive, launchCluster } from './launch-cluster.mjs';

/** @type {typeof import('./index.d.mts').provisionKafka} */
export async function provisionKafka() {
  const { jars, fetched } = await fetchJars();
  if (fetched) await archiveClasses(jars);
  return jars;
}

/** @type {typeof import('./index.d.mts').startCluster} */
export async function startCluster(options) {
  return launchCluster(await provisionKafka(), options);
}

/**
 * Java writes the classes that a broker has loaded into one file when it ends; nodes that map this file are ready in half
 * the time. It holds good for these paths only, hence not before the jars are in their place.
 */
async function archiveClasses(jars) {
  const folder = mkdtempSync(join(jars, 'class-archive-'));
  const archive = join(folder, 'classes.jsa');
  try {
    const cluster = await launchCluster(jars, { folder, javaOptions: [`-XX:ArchiveClassesAtExit=${archive}`] });
    await cluster.stop();
    // Some Java machines cannot; theirs start without.
    if (existsSync(archive)) renameSync(archive, classArchive(jars));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
