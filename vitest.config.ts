import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { projects: ['libs/!(stages)', 'libs/stages/*', 'apps/*', 'tools/kafka', 'tools/chaos'] },
});
