import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { infalign, newTestFolder } from './program.fixture.js';

const folder = newTestFolder();
afterAll(() => folder.remove());

describe('infalign', () => {
  it('shows help, with examples for each command', () => {
    const help = infalign(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    const commands = [...help.stdout.matchAll(/^ {2}([a-z-]+) \[options\]/gm)].map(([, name]) => name!);
    expect(commands).toEqual(expect.arrayContaining(['theory', 'calibrate', 'win-rate']));
    for (const command of commands) {
      const { code, stdout, stderr } = infalign([command, '--help']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(new RegExp(`\\nExamples?:\\n {2}infalign ${command}\\b`));
    }
  });

  it('shows its version', () => {
    expect(infalign(['--version'])).toMatchObject({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  it.each([
    [[], /Usage: infalign/],
    [['traverse'], /unknown command 'traverse'/],
    [['calibrat'], /Did you mean calibrate\?/],
    [['theory', '--procedure', 'bon:4'], /required option '--transform <transformation>' not specified/],
    [
      ['win-rate', '--policy', 'a', '--reference', 'b', '--procedure', 'bon:2', '--sede', '1'],
      /unknown option '--sede'[^]*Did you mean --seed\?/,
    ],
    [['theory', 'extra', '--procedure', 'bon:4', '--transform', 'log', '--kl', '1'], /too many arguments/],
  ])('exits with 2 and a hint for the arguments %j', (args, message) => {
    const { code, stdout, stderr } = infalign(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).toContain('--help');
  });

  const file = folder.write('file', '');
  const within = join(file, 'x');
  const quickstart = join(import.meta.dirname, '../../../experiments/quickstart.yaml');
  const references = folder.write('references.jsonl', '{"prompt_id": "p", "rewards": [1]}\n');
  it.each([
    [['run', join(quickstart, 'x')], `${join(quickstart, 'x')}: no such file`],
    [['run', quickstart, '--out', file], `${file}: is a file`],
    [
      ['run', quickstart, '--out', within],
      `${within}/experiment.yaml: cannot be written: a part of the path is a file`,
    ],
    [['replay', 'rollout.scored', '--out', file], `${file}: is a file`],
    [['calibrate', '--memory', '0', '--rollouts', within, '--reference', references], `${within}: a part of this path`],
  ])('exits with 1 and one message for a file in place of a folder: %j', (args, message) => {
    const { code, stdout, stderr } = infalign(args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^infalign: .+\n$/);
    expect(stderr).toContain(message);
  });
});
