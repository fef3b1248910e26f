// The tests of graphs once more, with functions of TensorFlow's eager context in place of sessions, as on a GPU: this holds both to the same.
import { describe, vi } from 'vitest';
import { asFunctions } from './execution.js';
import { hasFunctions, nativeBinding } from './native.js';

vi.mock(import('./execution.js'), async (original) => ({
  ...(await original()),
  createExecution: () => {
    const binding = nativeBinding();
    if (!hasFunctions(binding)) throw new Error('the addon was not compiled with native/addon.cc: npm run setup');
    return asFunctions(binding);
  },
}));

describe('with functions', async () => {
  await import('./graph.test.js');
  await import('./gradients.test.js');
});
