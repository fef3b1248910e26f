import { script } from '../workspace/workspace.mjs';
import { assemble } from './assembled.mjs';

// `node tools/images/assemble.mjs FOLDER PROGRAM…`: what an image of these programs has in it; built from here on.
await script(() => {
  const [folder, ...programs] = process.argv.slice(2);
  if (folder === undefined || programs.length === 0) {
    throw new Error('Usage: node tools/images/assemble.mjs FOLDER PROGRAM…');
  }
  const { packages, bytes } = assemble(folder, programs);
  const mebibytes = (count) => `${(count / 2 ** 20).toFixed(0)} MiB`;
  process.stdout.write(
    `${programs.join(', ')}: ${packages} packages, ${mebibytes(bytes.program)}, and ${mebibytes(bytes.tensorflow)} of TensorFlow\n`,
  );
});
