import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { InputError, seededRandom, shuffled } from '@infalign/core';
import { annotateRollouts, type RolloutMeasure } from './annotate-rollouts.js';
import { writeFileAtomically } from './atomic-output.js';
import { joinRewards } from './join-rewards.js';
import { jsonLines, newTestFolder } from './rewards.fixture.js';

const files = newTestFolder();
const temporaryFolder = files.path('temporary');
mkdirSync(temporaryFolder);

const IN_MEMORY = { memoryBytes: 1 << 30, temporaryFolder };
const SPILLED = { memoryBytes: 0, temporaryFolder };
const HALF_SPILLED = { memoryBytes: 100_000, temporaryFolder };

const random = seededRandom('joins');
const prompts = Array.from({ length: 1500 }, (_, index) => ({
  prompt_id: index % 3 === 0 ? index : `pröm pt "${index}"`,
  rewards: Array.from({ length: 1 + random.integer(12) }, () => random.normal()),
}));
prompts.push({ prompt_id: 'many', rewards: Array.from({ length: 200_000 }, () => random.normal()) });
const policy = prompts.map(({ prompt_id }) => ({
  prompt_id,
  rewards: Array.from({ length: 1 + random.integer(5) }, () => random.normal()),
}));
const referenceFile = files.write('reference.jsonl', jsonLines(shuffled(prompts, random)));
const policyFile = files.write('policy.jsonl', jsonLines(shuffled(policy, random)));

async function joined(policyPath: string, referencePath: string, options = IN_MEMORY) {
  const pairs = new Map<string, { policy: number[]; reference: number[] }>();
  await joinRewards(policyPath, referencePath, options, (pair) => {
    expect(pairs.has(pair.promptId)).toBe(false);
    pairs.set(pair.promptId, { policy: [...pair.policyRewards], reference: [...pair.referenceRewards] });
  });
  return pairs;
}

describe('joinRewards', () => {
  it.each([
    ['in memory', IN_MEMORY],
    ['through temporary files', SPILLED],
    ['through temporary files after a start in memory', HALF_SPILLED],
  ])('gives every prompt its rewards of both files, %s', async (_, options) => {
    const pairs = await joined(policyFile, referenceFile, options);
    expect(pairs.size).toBe(prompts.length);
    prompts.forEach(({ prompt_id, rewards }, index) => {
      expect(pairs.get(String(prompt_id))).toEqual({ policy: policy[index]!.rewards, reference: rewards });
    });
    expect(readdirSync(temporaryFolder)).toEqual([]);
  });

  it('names both lines of a prompt that is there twice, on either side, in memory or not', async () => {
    const twice = files.write('twice.jsonl', jsonLines([...policy.slice(0, 20), policy[4]!]));
    const once = files.write('once.jsonl', jsonLines(policy.slice(0, 20)));
    for (const options of [IN_MEMORY, SPILLED]) {
      const message = `${twice}:21: prompt "pröm pt "4"" is already on line 5; put all of a prompt's rewards on one line`;
      await expect(joined(twice, once, options)).rejects.toThrow(new InputError(message));
      await expect(joined(once, twice, options)).rejects.toThrow(new InputError(message));
    }
    expect(readdirSync(temporaryFolder)).toEqual([]);
  });

  it('names a prompt that is missing on one side', async () => {
    const all = files.write('all.jsonl', jsonLines(policy.slice(0, 20)));
    const fewer = files.write('fewer.jsonl', jsonLines(policy.slice(0, 19)));
    for (const options of [IN_MEMORY, SPILLED]) {
      await expect(joined(all, fewer, options)).rejects.toThrow(
        `${all}:20: prompt "pröm pt "19"" has no rewards in ${fewer}`,
      );
      await expect(joined(fewer, all, options)).rejects.toThrow(
        `${all}:20: prompt "pröm pt "19"" has no rewards in ${fewer}`,
      );
    }
  });
});

const RANK: RolloutMeasure = {
  prepare: (references) => references.sort(),
  measure(reward, references) {
    expect([...references]).toEqual([...references].sort((a, b) => a - b));
    const rank = references.filter((reference) => reference < reward).length;
    return [rank, rank / 2];
  },
  fields: ['rank', 'half_rank'],
};

const smallReferences = prompts.slice(0, 1500);
const rollouts = shuffled(
  smallReferences.flatMap(({ prompt_id }, index) =>
    Array.from({ length: index % 4 }, (_, sample) => ({
      text: `é {"}${sample}`,
      prompt_id,
      reward: random.normal(),
      id: sample,
    })),
  ),
  random,
);
const rolloutsText = jsonLines(rollouts);
const rolloutsFile = files.write('rollouts.jsonl', rolloutsText);
const smallReferenceFile = files.write('small.jsonl', jsonLines(shuffled(smallReferences, random)));

async function annotated(rolloutsPath: string, referencePath: string, options = IN_MEMORY) {
  const parts: Buffer[] = [];
  const count = await annotateRollouts(rolloutsPath, referencePath, options, RANK, async (bytes) => {
    parts.push(Buffer.from(bytes));
    await Promise.resolve();
  });
  return { count, text: Buffer.concat(parts).toString('utf8') };
}

describe('annotateRollouts', () => {
  const byId = new Map(smallReferences.map(({ prompt_id, rewards }) => [prompt_id, rewards]));
  const expected = jsonLines(
    rollouts.map((rollout) => {
      const rank = byId.get(rollout.prompt_id)!.filter((reference) => reference < rollout.reward).length;
      return { ...rollout, rank, half_rank: rank / 2 };
    }),
  );

  it.each([
    ['in memory', IN_MEMORY],
    ['through temporary files', SPILLED],
    ['through temporary files after a start in memory', HALF_SPILLED],
  ])('adds the fields in the order of the rollouts, %s', async (_, options) => {
    const { count, text } = await annotated(rolloutsFile, smallReferenceFile, options);
    expect(count).toBe(rollouts.length);
    expect(text).toBe(expected);
    expect(readdirSync(temporaryFolder)).toEqual([]);
  });

  it('keeps every byte of the line, numbers that no double holds included', async () => {
    const line = '{ "big": 12345678901234567890.10, "prompt_id": "p", "reward": 1.50, "reward_model": "ü" }';
    const input = files.write('bytes.jsonl', `${line} \r\n\n${line}`);
    const references = files.write('bytes-reference.jsonl', '{"prompt_id":"p","rewards":[1,2,1.25]}\n');
    for (const options of [IN_MEMORY, SPILLED]) {
      const { text } = await annotated(input, references, options);
      const added = `${line.slice(0, -1)},"rank":2,"half_rank":1}\n`;
      expect(text).toBe(added + added);
    }
  });

  it('keeps the order of a great many rollouts of one prompt', async () => {
    const many = Array.from({ length: 30_000 }, (_, index) => ({
      prompt_id: index % 50 === 0 ? 'b' : 'a',
      reward: index,
    }));
    const input = files.write('great-many.jsonl', jsonLines(many));
    const references = files.write(
      'two.jsonl',
      '{"prompt_id":"a","rewards":[999.5,7000.5]}\n{"prompt_id":"b","rewards":[5]}\n',
    );
    const { text } = await annotated(input, references, SPILLED);
    const { text: inMemory } = await annotated(input, references, IN_MEMORY);
    expect(text === inMemory).toBe(true);
    const ranks = text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { rank: number }).rank);
    expect([1, 50, 999, 1001, 7001, 29_999].map((index) => ranks[index])).toEqual([0, 1, 0, 1, 2, 2]);
  });

  it('names a rollout whose prompt has no reference rewards', async () => {
    const input = files.write('unknown.jsonl', '{"prompt_id":"a","reward":1}\n{"prompt_id":"b","reward":1}\n');
    const references = files.write('unknown-reference.jsonl', '{"prompt_id":"a","rewards":[1]}\n');
    for (const options of [IN_MEMORY, SPILLED]) {
      await expect(annotated(input, references, options)).rejects.toThrow(
        `${input}:2: prompt "b" has no reference rewards in ${references}`,
      );
    }
    expect(readdirSync(temporaryFolder)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('reads rollouts from a pipe, also when it needs them twice', async () => {
    const pipe = files.path('pipe');
    execFileSync('mkfifo', [pipe]);
    for (const options of [IN_MEMORY, SPILLED]) {
      const writing = import('node:fs/promises').then(({ writeFile }) => writeFile(pipe, rolloutsText));
      const { text } = await annotated(pipe, smallReferenceFile, options);
      await writing;
      expect(text).toBe(expected);
    }
  });

  it('stops at a signal and leaves no temporary files', async () => {
    const stop = new AbortController();
    const options = { ...SPILLED, signal: stop.signal };
    const failing = annotateRollouts(
      rolloutsFile,
      smallReferenceFile,
      options,
      { ...RANK, prepare: () => stop.abort(new Error('stopped')) },
      async () => {},
    );
    await expect(failing).rejects.toThrow('stopped');
    expect(readdirSync(temporaryFolder)).toEqual([]);
  });
});

describe('writeFileAtomically', () => {
  it('keeps what was there until the new content is complete, and when it fails', async () => {
    const file = files.write('output.txt', 'before');
    const listed = files.list();
    const failing = writeFileAtomically(file, async (write) => {
      await write(Buffer.from('half'));
      expect(readFileSync(file, 'utf8')).toBe('before');
      throw new InputError('no more');
    });
    await expect(failing).rejects.toThrow('no more');
    expect(readFileSync(file, 'utf8')).toBe('before');
    expect(files.list()).toEqual(listed);

    await writeFileAtomically(file, (write) => write(Buffer.from('after')));
    expect(readFileSync(file, 'utf8')).toBe('after');
    expect(files.list()).toEqual(listed);
  });

  it('compresses a name that ends in .gz', async () => {
    const file = files.path('output.gz');
    await writeFileAtomically(file, async (write) => {
      await write(Buffer.from('one '));
      await write(Buffer.from('two'));
    });
    expect(gunzipSync(readFileSync(file)).toString()).toBe('one two');
  });

  it('says why it cannot write', async () => {
    const nothing = (write: (bytes: Uint8Array) => Promise<void>) => write(Buffer.from('x'));
    await expect(writeFileAtomically(files.path('no/such/folder'), nothing)).rejects.toThrow(
      /no\/such\/folder: no such file/,
    );
    await expect(writeFileAtomically(files.folder, nothing)).rejects.toThrow(/is a folder/);
  });

  it.runIf(process.platform === 'linux')('says that the disk is full', async () => {
    const writing = writeFileAtomically('/dev/full', (write) => write(Buffer.from('x')));
    await expect(writing).rejects.toThrow(
      new InputError('/dev/full: no space left on the disk; free some space, or choose another disk'),
    );
  });
});
