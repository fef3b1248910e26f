import { describe } from 'vitest';
import { createEagerModel } from './eager/eager-model.js';
import { describeExecutor } from './executor.fixture.js';
import { createGraphModel } from './graph/graph-model.js';

describe('the eager executor', () => {
  describeExecutor(createEagerModel);
});

describe.each([1, 3])('the graph executor, with %i lanes', (lanes) => {
  describeExecutor((config, weights) => createGraphModel(config, weights, { lanes }));
});
