import { defineProject, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.mjs';

export default mergeConfig(
  shared,
  // npm and Nx work on the whole workspace.
  defineProject({ test: { name: 'releases', include: ['*.test.mjs'], testTimeout: 600_000, hookTimeout: 600_000 } }),
);
