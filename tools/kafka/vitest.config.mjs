import { defineProject, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.mjs';

export default mergeConfig(
  shared,
  defineProject({ test: { name: 'kafka', include: ['*.test.mjs'], hookTimeout: 120_000 } }),
);
