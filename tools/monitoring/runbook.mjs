import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../workspace/workspace.mjs';

/**
 * The commands that a runbook shows.
 *
 * @param {string} name of its page, without the ending
 * @returns {{ look: string[], act: string[] }} those of its part "Look", and those of its part "Do"
 */
export function runbookCommands(name) {
  const page = readFileSync(join(root, 'docs', 'runbooks', `${name}.md`), 'utf8');
  const [, look, act] = /^## Look$([^]*)^## Do$([^]*)^## Over when$/m.exec(page);
  const commands = (part) => [...part.matchAll(/^ *\$ (.+)$/gm)].map(([, command]) => withoutNpx(command));
  return { look: commands(look), act: commands(act) };
}

/** A service is started itself, for what is told to its process to be told to it; its program is on the path of those who ask. */
function withoutNpx(command) {
  return command.replace(/^npx (?!infalign\b)/, '');
}
