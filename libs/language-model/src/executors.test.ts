import { describe } from 'vitest';
import { createEagerModel } from './eager/eager-model.js';
import { describeExecutor } from './executor.fixture.js';
import { createGraphModel } from './graph/graph-model.js';

describe('the eager executor', () => {
  describeExecutor(createEagerModel);
});

describe('the graph executor', () => {
  describeExecutor(createGraphModel);
});
