#!/usr/bin/env -S node --heap-growing-percent=30 --min-semi-space-size=16
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  process.stderr.write('policy-sampler is not built yet. Run "npm run build" in the repository first.\n');
  process.exitCode = 1;
}
