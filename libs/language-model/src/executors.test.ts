import { describe } from 'vitest';
import { createEagerModel } from './eager/eager-model.js';
import { describeExecutor } from './executor.fixture.js';

describe('the eager executor', () => {
  describeExecutor(createEagerModel);
});
