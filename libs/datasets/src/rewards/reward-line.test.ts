import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '@infalign/core';
import { createRewardLineReader, type RewardField } from './reward-line.js';

function read(text: string, field: RewardField = 'rewards', reserved: string[] = []) {
  const bytes = Buffer.from(text);
  const end = text.endsWith('\n') ? bytes.length - 1 : bytes.length;
  const { promptId, values, count } = createRewardLineReader('f.jsonl', field, reserved)(bytes, 0, end, 7);
  return { promptId, rewards: [...values.subarray(0, count)] };
}

function problem(text: string, field: RewardField = 'rewards', reserved: string[] = []): string {
  try {
    read(text, field, reserved);
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as InputError).message;
  }
  throw new Error(`no error for ${text}`);
}

describe('createRewardLineReader', () => {
  it('reads any line as JSON.parse does, however it is written', () => {
    const spaces = fc.constantFrom('', ' ', '\t', '  ');
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ minLength: 1, unit: 'binary-ascii' }), fc.string({ minLength: 1 }), fc.maxSafeInteger()),
        fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 300 }),
        fc.option(fc.jsonValue(), { nil: undefined }),
        fc.boolean(),
        spaces,
        (id, rewards, extra, idFirst, space) => {
          const members = [
            `"prompt_id"${space}:${space}${JSON.stringify(id)}`,
            `"rewards":${space}[${rewards.join(`${space},`)}${space}]`,
          ];
          if (!idFirst) members.reverse();
          if (extra !== undefined) members.push(`"extra":${JSON.stringify(extra)}`);
          const text = `${space}{${space}${members.join(`${space},${space}`)}${space}}${space}\r\n`;
          const expected = JSON.parse(text) as { prompt_id: string | number; rewards: number[] };
          expect(read(text)).toEqual({ promptId: String(expected.prompt_id), rewards: expected.rewards });
        },
      ),
      { seed: 4, numRuns: 1000 },
    );
  });

  it('reads single rewards', () => {
    expect(read('{"prompt_id": 3, "reward": -0.25}\n', 'reward')).toEqual({ promptId: '3', rewards: [-0.25] });
    expect(read('{"reward": 1e300, "text": "\\u00e9", "prompt_id": "é"}\n', 'reward')).toEqual({
      promptId: 'é',
      rewards: [1e300],
    });
  });

  it('does not need a line feed at the end of the file', () => {
    expect(read('{"prompt_id":"p","rewards":[1,2]}')).toEqual({ promptId: 'p', rewards: [1, 2] });
  });

  it('does not carry rewards over from one line to the next', () => {
    const reader = createRewardLineReader('f.jsonl', 'rewards');
    for (const rewards of [[1, 2, 3], [4], [5, 6]]) {
      const bytes = Buffer.from(`{"prompt_id":"p","rewards":${JSON.stringify(rewards)}}\n`);
      const { values, count } = reader(bytes, 0, bytes.length - 1, 1);
      expect([...values.subarray(0, count)]).toEqual(rewards);
    }
  });

  it.each([
    ['{"prompt_id":"p","rewards":[1,2', 'f.jsonl:7: the last line is truncated'],
    ['{"prompt_id":"p","rewards":[1,2}\n', 'f.jsonl:7: is not valid JSON'],
    ['{"prompt_id":"p","rewards":[1,]}\n', 'is not valid JSON'],
    ['{"prompt_id":"p","rewards":[01]}\n', 'is not valid JSON'],
    ['{"prompt_id":"p","rewards":[1]}}\n', 'is not valid JSON'],
    ['{"prompt_id":"p","rewards":[1]} x\n', 'is not valid JSON'],
    ['{"prompt_id":"p","rewards":[1, NaN]}\n', 'NaN or Infinity is not a finite number'],
    ['{"prompt_id":"p","rewards":[-Infinity]}\n', 'NaN or Infinity is not a finite number'],
    ['{"prompt_id":"p","rewards":[1, 1e999]}\n', 'rewards[1] is too large for a double'],
    ['{"prompt_id":"p","rewards":[0.5, null]}\n', 'rewards[1] is null; it must be a finite number'],
    ['{"prompt_id":"p","rewards":["0.5"]}\n', 'rewards[0] is the string "0.5"; it must be a finite number'],
    ['{"prompt_id":"p","rewards":[true]}\n', 'rewards[0] is true'],
    ['{"prompt_id":"p","rewards":[[1]]}\n', 'rewards[0] is a list'],
    ['{"prompt_id":"p","rewards":[]}\n', 'rewards of prompt "p" is empty'],
    ['{"prompt_id":"p","rewards":0.5}\n', 'rewards is the number 0.5; it must be a list'],
    ['{"prompt_id":"p","scores":[1]}\n', 'the field "rewards" is missing (this line has "prompt_id", "scores")'],
    ['{"prompt":"p","rewards":[1]}\n', 'the field "prompt_id" is missing (this line has "prompt", "rewards")'],
    ['{"prompt_id":"","rewards":[1]}\n', 'prompt_id is empty'],
    ['{"prompt_id":1.5,"rewards":[1]}\n', 'prompt_id is the number 1.5; it must be a string or an integer'],
    ['{"prompt_id":null,"rewards":[1]}\n', 'prompt_id is null'],
    ['{"prompt_id":9007199254740993,"rewards":[1]}\n', 'write an id above 2^53 − 1 as a string'],
    ['[1,2]\n', 'is a list; each line must be one object'],
    ['"p"\n', 'is the string "p"; each line must be one object'],
    ['\0\0\0\0\n', 'is not valid JSON'],
  ])('rejects %j, naming file and line', (text, message) => {
    expect(problem(text)).toContain(message);
    expect(problem(text)).toMatch(/^f\.jsonl:7: /);
  });

  it('rejects single rewards that are not one finite number', () => {
    expect(problem('{"prompt_id":"p","reward":[1]}\n', 'reward')).toContain(
      'reward is a list; write one number a line',
    );
    expect(problem('{"prompt_id":"p","reward":null}\n', 'reward')).toContain('reward is null');
    expect(problem('{"prompt_id":"p","reward":NaN}\n', 'reward')).toContain('is not a finite number');
    expect(problem('{"prompt_id":"p","rewards":[1]}\n', 'reward')).toContain('the field "reward" is missing');
  });

  it('rejects text that is not UTF-8', () => {
    const bytes = Buffer.concat([
      Buffer.from('{"prompt_id":"'),
      Buffer.from([0xe9]),
      Buffer.from('","rewards":[1]}\n'),
    ]);
    const reader = createRewardLineReader('f.jsonl', 'rewards');
    expect(() => reader(bytes, 0, bytes.length - 1, 2)).toThrow('f.jsonl:2: is not UTF-8 text');
  });

  it('rejects a field that is about to be added', () => {
    expect(problem('{"prompt_id":"p","reward":1,"calibrated_reward":0}\n', 'reward', ['calibrated_reward'])).toContain(
      'has a field "calibrated_reward" already',
    );
  });
});
