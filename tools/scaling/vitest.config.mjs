import { defineProject, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.mjs';

export default mergeConfig(
  shared,
  defineProject({ test: { name: 'scaling', include: ['*.test.mjs'], testTimeout: 240_000 } }),
);
