import { describe } from 'vitest';
import { createEagerModel } from './eager/eager-model.js';
import { createTrainer } from './eager/eager-trainer.js';
import { describeExecutor } from './executor.fixture.js';

describe('the eager executor', () => {
  describeExecutor(createEagerModel, createTrainer);
});
