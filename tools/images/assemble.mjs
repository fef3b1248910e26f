import { parseArgs } from 'node:util';
import { script } from '../workspace/workspace.mjs';
import { assemble } from './assembled.mjs';

// `node tools/images/assemble.mjs [--gpu] FOLDER PROGRAM…`: what an image of these programs has in it; built from here on.
await script(() => {
  const { values, positionals } = parseArgs({ options: { gpu: { type: 'boolean' } }, allowPositionals: true });
  const [folder, ...programs] = positionals;
  if (folder === undefined || programs.length === 0) {
    throw new Error('Usage: node tools/images/assemble.mjs [--gpu] FOLDER PROGRAM…');
  }
  const { packages, bytes } = assemble(folder, programs, values);
  const mebibytes = (count) => `${(count / 2 ** 20).toFixed(0)} MiB`;
  process.stdout.write(
    `${programs.join(', ')}: ${packages} packages, ${mebibytes(bytes.program)}, and ${mebibytes(bytes.tensorflow)} of TensorFlow\n`,
  );
});
