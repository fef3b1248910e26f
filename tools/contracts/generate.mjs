import { generate } from './buf.mjs';
import { script } from '../workspace/workspace.mjs';

// `npm run contracts:generate`: writes libs/contracts/src/generated anew from protos/.
await script(async () => generate());
