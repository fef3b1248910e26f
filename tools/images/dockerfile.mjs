import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser } from 'dockerfile-ast';
import { root } from '../workspace/workspace.mjs';

/**
 * @typedef {{ readonly keyword: string, readonly text: string }} Instruction
 * @typedef {{ readonly from: string, readonly name: string | undefined, readonly instructions: readonly Instruction[] }} Stage
 */

/**
 * The stages of a Dockerfile.
 *
 * @param {string} file from the repository's top folder
 * @returns {Stage[]}
 */
export function stagesOf(file) {
  const stages = [];
  for (const each of DockerfileParser.parse(readFileSync(join(root, file), 'utf8')).getInstructions()) {
    const keyword = each.getKeyword();
    const text = each
      .getTextContent()
      .slice(keyword.length)
      .trim()
      .replace(/\\\n\s*/g, '');
    const from = keyword === 'FROM' ? /^(\S+)(?: AS (\S+))?$/.exec(text) : undefined;
    if (from) stages.push({ from: from[1], name: from[2], instructions: [] });
    else stages.at(-1)?.instructions.push({ keyword, text });
  }
  return stages;
}

/** The arguments of the instructions of a kind, in their order. */
export function argumentsOf({ instructions }, keyword) {
  return instructions.filter((each) => each.keyword === keyword).map(({ text }) => text);
}

/** What a stage sets in the environment. */
export function environmentOf(stage) {
  const pairs = argumentsOf(stage, 'ENV').flatMap((text) => text.split(/\s+/));
  return Object.fromEntries(pairs.map((pair) => pair.split(/=(.*)/s).slice(0, 2)));
}

/** The program that an image of this stage starts, and the one that tells its health: their words. */
export function programsOf(stage) {
  const words = (keyword) => JSON.parse(/\[.*\]$/.exec(argumentsOf(stage, keyword)[0] ?? '')?.[0] ?? '[]');
  return { entrypoint: words('ENTRYPOINT'), healthCheck: words('HEALTHCHECK') };
}
