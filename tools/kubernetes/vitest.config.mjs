import { defineConfig, mergeConfig } from 'vitest/config';
import shared from '../../vitest.shared.mjs';

// Not part of `npm test`: the programs that these tests run are large, and built first.
export default mergeConfig(
  shared,
  defineConfig({ test: { name: 'kubernetes', root: import.meta.dirname, include: ['*.test.mjs'] } }),
);
