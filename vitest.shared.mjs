import { defineConfig } from 'vitest/config';

/**
 * What every project's tests have in common. The custom condition resolves the workspace's own packages to their
 * sources, so that tests need no build; forks, because TensorFlow's native library does not load in worker threads.
 */
export default defineConfig({
  resolve: { conditions: ['@infalign/source'] },
  ssr: { resolve: { conditions: ['@infalign/source', 'node', 'default'] } },
  test: {
    pool: 'forks',
    include: ['src/**/*.test.ts'],
    testTimeout: 60_000,
    env: {
      TF_CPP_MIN_LOG_LEVEL: '2',
      TF_ENABLE_ONEDNN_OPTS: '1',
      TF_NUM_INTRAOP_THREADS: '1',
      TF_NUM_INTEROP_THREADS: '1',
    },
  },
});
