import { generate } from './buf.mjs';
import { script } from '../workspace/workspace.mjs';

// `npm run contracts:generate`: writes all generated TypeScript anew: of the contracts, and of TensorFlow's messages.
await script(async () => generate());
