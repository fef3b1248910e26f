import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { newTestFolder } from './program.fixture.js';

const files = newTestFolder();
afterAll(files.remove);

const page = readFileSync(new URL('../../../docs/files.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```(\S+)(?: (\S+))?\n([^]*?)^```$/gm)].map(([, language, name, text]) => ({
  language,
  name,
  text: text!,
}));
for (const { language, name, text } of blocks) if (language === 'jsonl') files.write(name!, text);

const examples = blocks
  .filter(({ language }) => language === 'console')
  .map(({ text }) => /^\$ npx infalign (.*)\n([^]*)$/.exec(text)!)
  .map(([, command, output]) => ({ command: command!, output: output! }));

/** A solver may differ in the last digits from what the page says. */
function rounded(json: string): unknown {
  return JSON.parse(json, (_, value: unknown) => (typeof value === 'number' ? Number(value.toPrecision(8)) : value));
}

describe('docs/files.md', () => {
  it.each(examples)('shows what `infalign $command` really prints', ({ command, output }) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [inject('program'), ...command.split(' ')], {
      cwd: files.path(''),
      encoding: 'utf8',
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    if (command.endsWith('--json')) expect(rounded(stdout)).toEqual(rounded(output));
    else expect(stdout).toBe(output);
  });

  it('has an example of every file command', () => {
    expect(new Set(examples.map(({ command }) => command.split(' ')[0]))).toEqual(
      new Set(['theory', 'calibrate', 'win-rate']),
    );
  });
});

describe('experiments on services', () => {
  const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

  it.each(['README.md', 'docs/services.md', 'apps/infalign/src/commands/run.ts'])(
    'of which %s tells have as many partitions as their topics',
    async (path) => {
      const { parseExperiment } = await import('@infalign/run-config');
      const [, partitions, experiment] = /infalign up --partitions (\d+)\b[^]*?infalign run (\S+) --on services/.exec(
        read(path),
      )!;
      expect(parseExperiment(read(experiment!), experiment!).stream.partitions).toBe(Number(partitions));
    },
  );
});
