import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../workspace/workspace.mjs';
import { buf } from './buf.mjs';

/** What is kept of the contracts of the last release: the version before that services of this one work together with. */
const folder = join(root, 'tools', 'contracts', 'released');

/** Its contracts, as a buf image, which is a FileDescriptorSet as well. */
export const releasedImage = join(folder, 'contracts.binpb');

const releaseFile = join(folder, 'release.json');
const recordsFile = join(folder, 'records.json');

/** @returns {{ version: string, commit: string }} the last release, and the commit that has its code */
export function release() {
  return JSON.parse(readFileSync(releaseFile, 'utf8'));
}

/** @returns {Record<string, string>} a record of every topic as the last release writes it, in base64, by the topic's name */
export function releasedRecords() {
  return JSON.parse(readFileSync(recordsFile, 'utf8'));
}

/**
 * Keeps the contracts as they are as those of the last release.
 *
 * @param {{ name: string, bytes: Uint8Array }[]} records one of every topic, encoded
 */
export function keepRelease(records) {
  mkdirSync(folder, { recursive: true });
  const { version } = JSON.parse(readFileSync(join(root, 'libs', 'contracts', 'package.json'), 'utf8'));
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim();
  buf(['build', '--exclude-source-info', '-o', releasedImage]);
  const encoded = Object.fromEntries(records.map(({ name, bytes }) => [name, Buffer.from(bytes).toString('base64')]));
  writeFileSync(recordsFile, `${JSON.stringify(encoded, undefined, 2)}\n`);
  writeFileSync(releaseFile, `${JSON.stringify({ version, commit }, undefined, 2)}\n`);
}
