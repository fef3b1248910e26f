import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { seededRandom } from '@infalign/core';
import { infalign, jsonLines, newTestFolder } from '../program.fixture.js';

const files = newTestFolder();
const { temporaryFolder } = files;
afterAll(files.remove);

const random = seededRandom('win-rate command');
const round = (value: number) => Math.round(value * 4) / 4 + 0; // ties are frequent
const rewards = (count: number, shift: number) => Array.from({ length: count }, () => round(random.normal() + shift));
const policy = Array.from({ length: 150 }, (_, index) => ({
  prompt_id: index % 2 === 0 ? index : `prompt ${index}`,
  rewards: rewards(4 + random.integer(3), 0.5),
}));
const reference = policy.map(({ prompt_id }) => ({ prompt_id, rewards: rewards(4 + random.integer(3), 0) }));
const policyFile = files.write('policy.jsonl', jsonLines(policy));
const referenceFile = files.write('reference.jsonl', jsonLines(reference));

interface WinRate {
  procedure: string;
  win_rate: number;
  ci_low: number;
  ci_high: number;
  prompts: number;
}

function run(...args: string[]) {
  return infalign(['win-rate', ...args], { temporaryFolder });
}

function winRate(...args: string[]): WinRate {
  const { code, stdout, stderr } = run(...args, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^\{.*\}\n$/);
  return JSON.parse(stdout) as WinRate;
}

function subsets(items: readonly number[], size: number): number[][] {
  if (size === 0) return [[]];
  return items.flatMap((item, index) => subsets(items.slice(index + 1), size - 1).map((rest) => [item, ...rest]));
}

/** The mean over all pairs of subsets, by enumerating them. */
function bruteForce(choose: (subset: number[]) => number, draws: number): number {
  const perPrompt = policy.map(({ rewards: policyRewards }, index) => {
    const policyChoices = subsets(policyRewards, draws).map(choose);
    const referenceChoices = subsets(reference[index]!.rewards, draws).map(choose);
    let wins = 0;
    for (const a of policyChoices) for (const b of referenceChoices) wins += a > b ? 1 : a === b ? 0.5 : 0;
    return wins / (policyChoices.length * referenceChoices.length);
  });
  return perPrompt.reduce((sum, value) => sum + value, 0) / perPrompt.length;
}

describe('infalign win-rate', () => {
  it.each([
    ['standard', (subset: number[]) => subset[0]!, 1],
    ['bon:4', (subset: number[]) => Math.max(...subset), 4],
    ['won:3', (subset: number[]) => Math.min(...subset), 3],
    ['kth:2/3', (subset: number[]) => [...subset].sort((a, b) => b - a)[1]!, 3],
  ])('equals the enumeration of all subsets for %s, ties included', (procedure, choose, draws) => {
    const result = winRate('--policy', policyFile, '--reference', referenceFile, '--procedure', procedure);
    expect(Object.keys(result)).toEqual(['procedure', 'win_rate', 'ci_low', 'ci_high', 'prompts']);
    expect(result).toMatchObject({ procedure, prompts: policy.length });
    expect(Math.abs(result.win_rate - bruteForce(choose, draws))).toBeLessThan(1e-9);
    expect(result.ci_low).toBeLessThan(result.win_rate);
    expect(result.ci_high).toBeGreaterThan(result.win_rate);
    expect(result.ci_high - result.ci_low).toBeLessThan(0.15);
  });

  it('gives the same bytes whatever the order of the lines, the memory and the compression', () => {
    const args = ['--procedure', 'bon:3', '--seed', '5', '--json'];
    const { stdout: expected } = run('--policy', policyFile, '--reference', referenceFile, ...args);
    const reversed = files.write('reversed.jsonl', jsonLines([...policy].reverse()));
    const packed = files.write(
      'reference.jsonl.gz',
      gzipSync(jsonLines(reference.slice(70).concat(reference.slice(0, 70)))),
    );
    for (const memory of ['256', '0.005', '0']) {
      expect(run('--policy', reversed, '--reference', referenceFile, '--memory', memory, ...args).stdout).toBe(
        expected,
      );
      expect(run('--policy', policyFile, '--reference', packed, '--memory', memory, ...args).stdout).toBe(expected);
    }
    expect(files.list().filter((name) => name.startsWith('temporary/'))).toEqual([]);
  });

  it('draws its interval from the seed', () => {
    const args = ['--policy', policyFile, '--reference', referenceFile, '--procedure', 'bon:3'];
    expect(winRate(...args, '--seed', '1')).toEqual(winRate(...args, '--seed', '1'));
    expect(winRate(...args, '--seed', '1').ci_low).not.toBe(winRate(...args, '--seed', '2').ci_low);
    expect(winRate(...args, '--seed', '1').win_rate).toBe(winRate(...args, '--seed', '2').win_rate);
  });

  it('is one half of a policy against itself', () => {
    const result = winRate('--policy', policyFile, '--reference', policyFile, '--procedure', 'bon:4');
    expect(result.win_rate).toBeCloseTo(0.5, 12);
  });

  it('prints a sentence for people', () => {
    const { stdout } = run('--policy', policyFile, '--reference', referenceFile, '--procedure', 'bon:2');
    expect(stdout).toMatch(/^bon:2: win rate 0\.\d{4}, 95 % interval 0\.\d{4} to 0\.\d{4}, over 150 prompts\n$/);
  });

  describe('with bad input', () => {
    const good = jsonLines(reference);
    const cases: [string, string, string, string[], RegExp][] = [
      ['malformed JSON', `${jsonLines(policy)}{]\n`, good, [], /policy\.jsonl:151: is not valid JSON/],
      [
        'a truncated last line',
        jsonLines(policy).slice(0, -2),
        good,
        [],
        /policy\.jsonl:150: the last line is truncated/,
      ],
      [
        'a missing field',
        `${jsonLines(policy)}{"prompt_id":"x","reward":1}\n`,
        good,
        [],
        /policy\.jsonl:151: the field "rewards" is missing \(this line has "prompt_id", "reward"\)/,
      ],
      [
        'NaN',
        `${jsonLines(policy)}{"prompt_id":"x","rewards":[1,NaN]}\n`,
        good,
        [],
        /policy\.jsonl:151: NaN or Infinity is not a finite number/,
      ],
      [
        'null',
        `${jsonLines(policy)}{"prompt_id":"x","rewards":[1,null]}\n`,
        good,
        [],
        /policy\.jsonl:151: rewards\[1\] is null/,
      ],
      [
        'an empty list',
        jsonLines(policy),
        `${good}{"prompt_id":"x","rewards":[]}\n`,
        [],
        /reference\.jsonl:151: rewards of prompt "x" is empty/,
      ],
      [
        'a prompt without reference rewards',
        jsonLines(policy),
        jsonLines(reference.slice(1)),
        [],
        /policy\.jsonl:1: prompt "0" has no rewards in .*reference\.jsonl; add them there/,
      ],
      [
        'a prompt without policy rewards',
        jsonLines(policy.slice(0, -1)),
        good,
        [],
        /reference\.jsonl:150: prompt "prompt 149" has no rewards in .*policy\.jsonl; add them there/,
      ],
      [
        'a prompt twice in the policy file',
        jsonLines([...policy, policy[3]!]),
        good,
        [],
        /policy\.jsonl:151: prompt "prompt 3" is already on line 4/,
      ],
      [
        'a prompt twice in the reference file',
        jsonLines(policy),
        jsonLines([...reference, reference[2]!]),
        [],
        /reference\.jsonl:151: prompt "2" is already on line 3/,
      ],
      [
        'too few policy samples',
        jsonLines([...policy.slice(0, 149), { ...policy[149], rewards: [1, 2] }]),
        good,
        [],
        /policy\.jsonl:150: prompt "prompt 149" has 2 rewards, but bon:3 draws 3; give it at least 3, or choose a smaller N/,
      ],
      [
        'too few reference samples',
        jsonLines(policy),
        jsonLines([{ ...reference[0], rewards: [1] }, ...reference.slice(1)]),
        [],
        /reference\.jsonl:1: prompt "0" has 1 reward, but bon:3 draws 3/,
      ],
      ['an empty file', '', good, [], /policy\.jsonl: is empty/],
      ['an unknown procedure', jsonLines(policy), good, ['--procedure', 'best:3'], /'best:3'.*standard, bon:N, won:N/],
      [
        'a seed that is not whole',
        jsonLines(policy),
        good,
        ['--seed', '1.5'],
        /--seed is "1\.5"; it must be a whole number/,
      ],
    ];
    for (const [name, policyText, referenceText, args, message] of cases) {
      it(`says what is wrong with ${name}`, () => {
        const bad = newTestFolder();
        const policyPath = bad.write('policy.jsonl', policyText);
        const referencePath = bad.write('reference.jsonl', referenceText);
        for (const memory of args.length === 0 ? ['256', '0'] : ['256']) {
          const outcome = infalign(
            [
              'win-rate',
              '--policy',
              policyPath,
              '--reference',
              referencePath,
              '--procedure',
              'bon:3',
              '--memory',
              memory,
              '--json',
              ...args,
            ],
            { temporaryFolder: bad.temporaryFolder },
          );
          expect(outcome.stderr).toMatch(message);
          expect(outcome.stderr).toMatch(/^infalign: [^\n]*\n$/);
          expect(outcome).toMatchObject({ code: 1, stdout: '' });
          expect(bad.list()).toEqual(['policy.jsonl', 'reference.jsonl', 'temporary']);
        }
        bad.remove();
      });
    }

    it('says which file is missing', () => {
      const { code, stderr } = run(
        '--policy',
        files.path('none'),
        '--reference',
        referenceFile,
        '--procedure',
        'bon:2',
      );
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: `infalign: ${files.path('none')}: no such file; check the path\n`,
      });
    });
  });
});
