import { script } from '../workspace/workspace.mjs';
import { goPrograms } from './go-programs.mjs';
import { provisionGoProgram } from './provision-go-program.mjs';

// `node tools/go/install.mjs NAME…` prints where the programs are, built if they were not.
await script(() => {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !Object.hasOwn(goPrograms, name));
  if (names.length === 0 || unknown.length > 0) {
    throw new Error(`Usage: node tools/go/install.mjs NAME…, of ${Object.keys(goPrograms).join(', ')}`);
  }
  for (const name of names) process.stdout.write(`${provisionGoProgram(name)}\n`);
  return Promise.resolve();
});
