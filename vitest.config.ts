import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      'libs/!(stages)',
      'libs/stages/*',
      'apps/*',
      'tools/kafka',
      'tools/images',
      'tools/workflows',
      'tools/releases',
      'tools/scaling',
      'tools/chaos',
      'tools/contracts',
      'tools/bench',
      'tools/results',
      'tools/ablations',
    ],
    // Vitest leaves one core free; but many tests wait, for brokers and for processes of their own.
    maxWorkers: 2,
  },
});
