import { defineProject, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.mjs';

export default mergeConfig(
  shared,
  // actionlint is built where it is not there yet.
  defineProject({ test: { name: 'workflows', include: ['*.test.mjs'], testTimeout: 300_000 } }),
);
