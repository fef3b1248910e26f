import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** The version of infalign, as its package has it. */
export const { version } = require('../package.json') as { readonly version: string };

/** The version of infalign, and of the software that its numbers depend on. */
export function softwareVersions(): { version: string; software: Record<string, string> } {
  const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version;
  return {
    version,
    software: { 'tfjs-node': versionOf('@tensorflow/tfjs-node'), 'tfjs-core': versionOf('@tensorflow/tfjs-core') },
  };
}
