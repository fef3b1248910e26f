import { recordExamples } from './record-examples.mjs';
import { keepRelease } from './released.mjs';
import { script } from '../workspace/workspace.mjs';

// `npm run contracts:release`: part of a release. Keeps the contracts, and a record of every topic, as what services of the
// next version have to work together with.
await script(async () =>
  keepRelease(recordExamples().map(({ topic, record }) => ({ name: topic.name, bytes: topic.codec.encode(record) }))),
);
