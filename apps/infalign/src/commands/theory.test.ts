import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import { infalign, newTestFolder, startInfalign } from '../program.fixture.js';

function theory(...args: string[]) {
  const { code, stdout, stderr } = infalign(['theory', ...args, '--json']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\{.*\}\n$/);
  return JSON.parse(stdout) as Record<string, number | string>;
}

describe('infalign theory', () => {
  it.each([
    ['bon:4', 'identity', 0.7998],
    ['bon:4', 'log', 0.7682],
    ['bon:4', 'exp:5', 0.8566],
    ['bon:4', 'exp:10', 0.8715],
    ['bon:4', 'optimal', 0.8733],
    ['won:4', 'identity', 0.886],
    ['won:4', 'log', 0.927],
    ['won:4', 'exp:-5', 0.9439],
    ['won:4', 'exp:-10', 0.9476],
    ['won:4', 'optimal', 0.9479],
  ])('gives the published value for %s with %s at a KL of 0.5', (procedure, transform, winRate) => {
    const point = theory('--procedure', procedure, '--transform', transform, '--kl', '0.5');
    expect(Object.keys(point)).toEqual(['procedure', 'transform', 'beta', 'kl', 'standard_win_rate', 'win_rate']);
    expect(point).toMatchObject({ procedure, transform });
    expect(point['kl']).toBeCloseTo(0.5, 8);
    expect(Math.abs((point['win_rate'] as number) - winRate)).toBeLessThan(0.6e-4);
  });

  it('gives the closed form of log, and the same point for its β as for its KL', () => {
    const beta = 0.25;
    const point = theory('--procedure', 'bon:16', '--transform', 'log', '--beta', String(beta));
    expect(point['win_rate']).toBeCloseTo((1 + 1 / beta) / (2 + 1 / beta), 8);
    expect(point['kl']).toBeCloseTo(Math.log(5) - 4 / 5, 8);
    const again = theory('--procedure', 'bon:16', '--transform', 'log', '--kl', String(point['kl']));
    expect(again['beta']).toBeCloseTo(beta, 6);
  });

  it('prints a table for people', () => {
    const { stdout } = infalign(['theory', '--procedure', 'standard', '--transform', 'log', '--beta', '1']);
    expect(stdout).toContain('KL (nats)          0.193147\n');
    expect(stdout).toContain('win rate           0.666667\n');
  });

  it('starts at once: it loads the mathematics, and nothing that computes on tensors, serves or draws', async () => {
    const folder = newTestFolder();
    try {
      const loaded = folder.path('loaded');
      const hooks = folder.write(
        'hooks.mjs',
        `import { appendFileSync } from 'node:fs';
        export function load(url, context, next) {
          appendFileSync(${JSON.stringify(loaded)}, url + '\\n');
          return next(url, context);
        }`,
      );
      const register = `import{register}from'node:module';register('${pathToFileURL(hooks).href}')`;
      const args = ['theory', '--procedure', 'bon:32', '--transform', 'optimal', '--kl', '1'];
      const { ended } = startInfalign(args, folder.temporaryFolder, ['--import', `data:text/javascript,${register}`]);
      expect(await ended).toMatchObject({ code: 0, stderr: '' });
      const places = folder.read('loaded').matchAll(/\/(?:node_modules|libs)\/((?:@[^/]+\/)?[^/]+)\//g);
      expect([...new Set(Array.from(places, ([, name]) => name))].sort()).toEqual([
        'checkpoint',
        'cli-progress',
        'commander',
        'infalign',
      ]);
    } finally {
      folder.remove();
    }
  });

  it.each([
    [
      ['--beta', '1', '--kl', '1'],
      '--beta and --kl contradict each other, for each determines the other; give one of them',
    ],
    [[], 'neither --beta nor --kl is given; give one of them, for example --kl 0.5'],
    [['--beta', '0'], '--beta is "0"; it must be a number above 0'],
    [['--kl', '-1'], '--kl is "-1"; it must be a number above 0'],
    [['--kl', 'much'], '--kl is "much"; it must be a number above 0'],
    [['--kl', 'Infinity'], '--kl is "Infinity"; it must be a number above 0'],
  ])('says what is wrong with %j', (args, message) => {
    const outcome = infalign(['theory', '--procedure', 'bon:4', '--transform', 'identity', ...args]);
    expect(outcome).toEqual({ code: 1, signal: null, stdout: '', stderr: `infalign: ${message}\n` });
  });

  it('estimates what a raw reward comes to from the rewards of a file, for a KL and for a β', () => {
    const folder = newTestFolder();
    try {
      // Two levels on every prompt, as many of both: the upper one has 1/(1 + e^{−d/β}) of the optimum, with d between them.
      const lines = [0, 1, 2].map((prompt) => {
        return { prompt_id: prompt, rewards: Array.from({ length: 12 }, (_, place) => prompt + (place < 6 ? 3 : 0)) };
      });
      const file = folder.write('rewards.jsonl', lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const upper = 1 / (1 + Math.exp(-1.5));
      const kl = upper * Math.log(2 * upper) + (1 - upper) * Math.log(2 * (1 - upper));
      const raw = ['--transform', 'raw', '--rewards', file];
      const byBeta = theory('--procedure', 'bon:2', ...raw, '--beta', '2');
      expect(byBeta).toMatchObject({ procedure: 'bon:2', transform: 'raw', beta: 2 });
      expect(byBeta['kl']).toBeCloseTo(kl, 10);
      expect(byBeta['standard_win_rate']).toBeCloseTo(upper / 2 + 1 / 4, 10);
      // The best of two is of the upper level unless both are lower; ties count ½.
      expect(byBeta['win_rate']).toBeCloseTo((1 - (1 - upper) ** 2) * (1 / 4 + 3 / 8) + (1 - upper) ** 2 / 8, 10);
      expect(theory('--procedure', 'bon:2', ...raw, '--kl', String(kl))['beta']).toBeCloseTo(2, 6);
      const outcome = infalign(['theory', '--procedure', 'bon:2', ...raw, '--kl', '0.6']);
      expect(outcome).toMatchObject({ code: 1, stdout: '' });
      expect(outcome.stderr).toMatch(/more than these rewards can tell of.*up to 0\.405 nats/);
    } finally {
      folder.remove();
    }
  });

  it.each([
    [['raw'], '--transform raw depends on the rewards: name a file of them with --rewards'],
    [['log', '--rewards', 'r.jsonl'], '--rewards is for --transform raw: what log comes to depends on no rewards'],
    [['raw', '--rewards', 'no.jsonl'], 'no.jsonl: no such file'],
  ])('says what is wrong with the transformation %j', (args, message) => {
    const outcome = infalign(['theory', '--procedure', 'bon:4', '--kl', '0.5', '--transform', ...args]);
    expect(outcome).toMatchObject({ code: 1, stdout: '' });
    expect(outcome.stderr).toContain(`infalign: ${message}`);
  });

  it('lists what is allowed for an unknown procedure or transformation', () => {
    const procedure = infalign(['theory', '--procedure', 'best:4', '--transform', 'identity', '--kl', '1']);
    expect(procedure).toMatchObject({ code: 1, stdout: '' });
    expect(procedure.stderr).toMatch(/^infalign: .*'best:4'.*standard, bon:N, won:N, kth:K\/N/);
    const transform = infalign(['theory', '--procedure', 'bon:4', '--transform', 'square', '--kl', '1']);
    expect(transform).toMatchObject({ code: 1, stdout: '' });
    expect(transform.stderr).toMatch(/^infalign: .*'square'.*identity, log, .*exp:T/);
  });
});
