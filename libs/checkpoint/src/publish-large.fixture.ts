import { openFolderStore } from './folder-store.js';

// Publishes a checkpoint of 100 kB and prints what goes wrong. Its arguments: the store's folder, the checkpoint's name.
process.on('SIGXFSZ', () => {});
const [folder, name] = process.argv.slice(2) as [string, string];
const files = new Map<string, string | Uint8Array>([
  ['config.json', '{}'],
  ['model.safetensors', new Uint8Array(100_000)],
]);
await openFolderStore(folder)
  .publish(name, files, null)
  .catch((error: unknown) => process.stdout.write(String(error)));
