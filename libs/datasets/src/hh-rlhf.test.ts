import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '@infalign/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pieceCodec } from './codec.fixture.js';
import { promptSetNames } from './dataset.js';
import { comparedDataset } from './compared-dataset.js';
import { comparedDialogues, comparisonFiles, readComparisons, splitDialogues } from './hh-rlhf.js';
import { loadDataset } from './load-dataset.js';

const H = '\n\nHuman:';
const A = '\n\nAssistant:';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hh-rlhf-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

describe('splitDialogues', () => {
  it('shares all up to and including the last Assistant marker', () => {
    const prompt = `${H} Hello${A} Hi.${H} How are you?${A}`;
    expect(splitDialogues(`${prompt} Well.`, `${prompt} Go away.`)).toEqual({
      prompt,
      chosen: ' Well.',
      rejected: ' Go away.',
    });
  });

  it('is not misled by replies that begin alike', () => {
    expect(splitDialogues(`${H} q${A} I think so.`, `${H} q${A} I think not.`)).toEqual({
      prompt: `${H} q${A}`,
      chosen: ' I think so.',
      rejected: ' I think not.',
    });
  });

  it('takes the first replies after the dialogues part, when one goes on', () => {
    expect(splitDialogues(`${H} q${A} One.${H} And?${A} Two.`, `${H} q${A} Other.`)).toEqual({
      prompt: `${H} q${A}`,
      chosen: ' One.',
      rejected: ' Other.',
    });
    expect(splitDialogues(`${H} q${A} x.`, `${H} q${A} y.${H} And?${A} Two.${H} z${A} w`).rejected).toBe(' y.');
  });

  it('allows an empty reply, also one that the other begins with', () => {
    expect(splitDialogues(`${H} q${A}`, `${H} q${A} Ok`)).toEqual({
      prompt: `${H} q${A}`,
      chosen: '',
      rejected: ' Ok',
    });
  });

  it('finds the last marker of equal dialogues', () => {
    const dialogue = `${H} a${A} b${H} c${A} d`;
    expect(splitDialogues(dialogue, dialogue)).toEqual({
      prompt: `${H} a${A} b${H} c${A}`,
      chosen: ' d',
      rejected: ' d',
    });
  });

  it.each([
    ['hello', `${H} q${A} a`, '"chosen" must begin with two line feeds and "Human:"'],
    [`${H} q${A} a`, `${H} q`, '"rejected" has no turn marked by two line feeds and "Assistant:"'],
    [`${H} q${A} a`, `${H} other${A} a`, 'share no prompt'],
  ])('refuses %j with %j', (chosen, rejected, message) => {
    expect(() => splitDialogues(chosen, rejected)).toThrow(message);
  });
});

describe('readComparisons', () => {
  const good = JSON.stringify({ chosen: `${H} q${A} yes’`, rejected: `${H} q${A} no` });

  it('reads plain and compressed files alike, and names each comparison by file and line', async () => {
    const text = `${good}\n\n${good}`;
    await writeFile(join(folder, 'plain.jsonl'), text);
    await writeFile(join(folder, 'packed.jsonl.gz'), gzipSync(text));
    const plain = await readComparisons(join(folder, 'plain.jsonl'));
    expect(plain).toEqual([
      { id: 'plain:1', part: undefined, prompt: `${H} q${A}`, chosen: ' yes’', rejected: ' no' },
      { id: 'plain:3', part: undefined, prompt: `${H} q${A}`, chosen: ' yes’', rejected: ' no' },
    ]);
    const packed = await readComparisons(join(folder, 'packed.jsonl.gz'));
    expect(packed.map(({ id }) => id)).toEqual(['packed:1', 'packed:3']);
  });

  it.each([
    [`${good}\n${good.slice(0, 20)}`, ':2: is not complete JSON'],
    [`${good}\n[1]\n`, ':2: expected an object with "chosen" and "rejected"'],
    ['{}\n', ':1: "chosen" is missing'],
    ['null\n', ':1: expected an object with'],
    [`{"chosen": 3, "rejected": ""}\n`, ':1: "chosen" must be text'],
    [`{"chosen": ""}\n`, ':1: "rejected" is missing'],
    [`${good}\n{"chosen": "", "rejected": ""}\n`, ':2: "chosen" must begin with'],
    ['', ': is empty'],
  ])('names file and line of what is malformed in %j', async (text, message) => {
    const file = join(folder, 'bad.jsonl');
    await writeFile(file, text);
    await expect(readComparisons(file)).rejects.toThrow(InputError);
    await expect(readComparisons(file)).rejects.toThrow(`${file}${message}`);
  });

  it('names a compressed file that is cut off, or is no gzip', async () => {
    const file = join(folder, 'bad.jsonl.gz');
    const lines = Array.from({ length: 500 }, (_, index) => good.replace('yes', `yes ${index * 7919}`)).join('\n');
    const whole = gzipSync(lines);
    await writeFile(file, whole.subarray(0, whole.length - 100));
    await expect(readComparisons(file)).rejects.toThrow(`${file}: is gzip data that ends too early`);
    await writeFile(file, good);
    await expect(readComparisons(file)).rejects.toThrow(`${file}: is not valid gzip data`);
    await expect(readComparisons(join(folder, 'none.jsonl'))).rejects.toThrow(`none.jsonl: no such file`);
  });
});

describe('comparisonFiles', () => {
  it('takes the folder of the subset if there is one, and else the folder itself', async () => {
    const place = await mkdtemp(join(folder, 'files-'));
    for (const name of ['b.jsonl', 'a.jsonl.gz', 'README.md']) await writeFile(join(place, name), '');
    expect(await comparisonFiles(place, 'harmless-base')).toEqual([join(place, 'a.jsonl.gz'), join(place, 'b.jsonl')]);
    await mkdir(join(place, 'harmless-base'));
    await writeFile(join(place, 'harmless-base', 'train.jsonl.gz'), '');
    expect(await comparisonFiles(place, 'harmless-base')).toEqual([join(place, 'harmless-base', 'train.jsonl.gz')]);
  });

  it('says when there is none', async () => {
    const place = await mkdtemp(join(folder, 'files-'));
    await expect(comparisonFiles(place, 'x')).rejects.toThrow(`${place}: has no *.jsonl or *.jsonl.gz file`);
    await expect(comparisonFiles(join(place, 'none'), 'x')).rejects.toThrow(InputError);
  });
});

describe('comparedDialogues', () => {
  const dialogue = (topic: string, turns: number) =>
    H + ` Tell me about ${topic}` + `${A} Sure${H} Go on please`.repeat(turns) + A;
  const comparisons = Array.from({ length: 120 }, (_, index) => ({
    id: `c:${index}`,
    part: undefined,
    prompt: dialogue(`thing ${'abcdefghijklmnopqrst'[Math.floor(index / 6)]}`, index % 3),
    chosen: index % 4 === 0 ? ' Same words but then' : ` Good ${index}`,
    rejected: index % 4 === 0 ? ' Same words but now' : ` Bad ${index}`,
  }));
  const dataset = comparedDataset(comparedDialogues(comparisons), { seed: 1, heldOutShare: 0.25 });
  const codec = pieceCodec();

  it('holds out whole conversations', () => {
    const topics = (texts: readonly string[]) => new Set(texts.map((text) => /thing (.)/.exec(text)![1]));
    expect(topics(dataset.trainingTexts).size).toBe(15);
    expect(topics(dataset.heldOutTexts).size).toBe(5);
    expect([...topics(dataset.trainingTexts)].filter((topic) => topics(dataset.heldOutTexts).has(topic))).toEqual([]);
  });

  it('keeps the last tokens of a prompt, and the whole of a short one', () => {
    const counts = { train: 10, reward: 0, judge: 0, calibration: 0, evaluation: 5, accuracy: 0 };
    const long = dataset.drawPrompts({ codec, tokens: 1000, counts, seed: 1 });
    for (const { id, text } of long.train) expect(text).toBe(comparisons[Number(id.slice(2))]!.prompt);
    const cut = comparedDataset(comparedDialogues(comparisons.slice(0, 12)), {
      seed: 1,
      heldOutShare: 0.5,
    }).drawPrompts({
      codec,
      tokens: 20,
      counts: { train: 1, reward: 0, judge: 0, calibration: 0, evaluation: 1, accuracy: 0 },
      seed: 1,
    });
    for (const { id, tokens, text } of [...cut.train, ...cut.evaluation]) {
      const { prompt } = comparisons[Number(id.slice(2))]!;
      expect(tokens).toEqual(Array.from(codec.encode(prompt)).slice(-20));
      expect(prompt.endsWith(text)).toBe(true);
    }
  });

  it('gives what people preferred, cut at the longest response, ended where it is shorter', () => {
    const prompts = [0, 1].map((index) => ({ id: `c:${index}`, tokens: [9], text: '' }));
    const pairs = dataset.humanPairs(prompts, { codec, maxResponseTokens: 3, endOfText: 999 });
    const first = (text: string, count: number) => Array.from(codec.encode(text)).slice(0, count);
    expect(pairs[0]).toEqual({
      promptId: 'c:0',
      promptTokens: [9],
      chosen: first(' Same words', 3),
      rejected: first(' Same words', 3),
    });
    const whole = dataset.humanPairs(prompts, { codec, maxResponseTokens: 50, endOfText: 999 })[1]!;
    expect(whole.chosen).toEqual([...Array.from(codec.encode(' Good 1')), 999]);
    expect(whole.rejected).toEqual([...Array.from(codec.encode(' Bad 1')), 999]);
  });

  it('draws only comparisons whose responses differ within the tokens kept, where preferences are wanted', () => {
    const counts = { train: 0, reward: 15, judge: 10, calibration: 0, evaluation: 0, accuracy: 0 };
    const { reward, judge } = dataset.drawPrompts({ codec, tokens: 1000, counts, seed: 1, comparedWithin: 3 });
    for (const { id } of [...reward, ...judge]) expect(Number(id.slice(2)) % 4).not.toBe(0);
    const pairs = dataset.humanPairs([...reward, ...judge], { codec, maxResponseTokens: 3, endOfText: 999 });
    for (const { chosen, rejected } of pairs) expect(chosen).not.toEqual(rejected);
  });
});

describe('HH-RLHF as a dataset', () => {
  const line = (topic: string, answer: string) => {
    const prompt = `${H} Tell me about ${topic}.${A}`;
    return JSON.stringify({ chosen: `${prompt} ${answer}.`, rejected: `${prompt} No.` });
  };
  const lines = (name: string, count: number) =>
    Array.from({ length: count }, (_, index) => line(`${name} ${'abcdefghijklmnopqrst'[index]}`, `It is ${name}`));
  const load = async (files: Readonly<Record<string, readonly string[]>>) => {
    const path = await mkdtemp(join(folder, 'dataset-'));
    await mkdir(join(path, 'helpful-base'));
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(path, 'helpful-base', name), gzipSync(content.join('\n')));
    }
    const settings = { kind: 'hh-rlhf', path, hub: '', subset: 'helpful-base' } as const;
    return loadDataset(settings, { seed: 1, heldOutShare: 0.2, cacheFolder: '' });
  };
  const from = (texts: readonly string[], name: string) => texts.filter((text) => text.includes(name)).length;

  it('holds out the test split where there is one beside another, and trains on no conversation of it', async () => {
    const dataset = await load({
      'train.jsonl.gz': [...lines('learning', 20), line('learning a', 'Other'), ...lines('testing', 2)],
      'test.jsonl.gz': lines('testing', 12),
    });
    expect(dataset.trainingTexts).toHaveLength(21);
    expect(from(dataset.trainingTexts, 'learning')).toBe(21);
    expect(dataset.heldOutTexts).toHaveLength(12);
    expect(from(dataset.heldOutTexts, 'testing')).toBe(12);

    const counts = { train: 5, reward: 8, judge: 4, calibration: 2, evaluation: 3, accuracy: 7 };
    const sets = dataset.drawPrompts({ codec: pieceCodec(), tokens: 100, counts, seed: 1, comparedWithin: 10 });
    for (const name of promptSetNames) {
      const held = name === 'calibration' || name === 'evaluation' || name === 'accuracy';
      expect(sets[name]).toHaveLength(counts[name]);
      expect(sets[name].every(({ id }) => id.startsWith(held ? 'test:' : 'train:'))).toBe(true);
    }
  });

  it.each(['pairs', 'train', 'test'])('holds out a share where the only file is %s.jsonl.gz', async (name) => {
    const dataset = await load({ [`${name}.jsonl.gz`]: lines('all', 20) });
    expect([dataset.trainingTexts.length, dataset.heldOutTexts.length]).toEqual([16, 4]);
  });

  it('has as many comparisons as its files, however many they are', async () => {
    const comparisons = Array.from({ length: 160_000 }, (_, index) => line(String(index), 'Yes'));
    const dataset = await load({ 'train.jsonl.gz': comparisons });
    expect(dataset.trainingTexts.length + dataset.heldOutTexts.length).toBe(160_000);
  });

  it('does not take two files of one name for one', async () => {
    const path = await mkdtemp(join(folder, 'dataset-'));
    for (const name of ['train.jsonl', 'train.jsonl.gz']) {
      const text = lines('all', 5).join('\n');
      await writeFile(join(path, name), name.endsWith('.gz') ? gzipSync(text) : text);
    }
    const settings = { kind: 'hh-rlhf', path, hub: '', subset: 'helpful-base' } as const;
    const loading = loadDataset(settings, { seed: 1, heldOutShare: 0.2, cacheFolder: '' });
    await expect(loading).rejects.toThrow('the dataset has train:1 twice: of files with one name');
  });
});

const real = resolve(import.meta.dirname, '../../../../shared/data/hh-rlhf');
const present = existsSync(real);

describe.skipIf(!present)(
  `real comparisons${present ? '' : ' (left out: ../shared/data/hh-rlhf is not there)'}`,
  () => {
    it('are read whole, and divided into disjoint prompts with human pairs', async () => {
      const settings = { kind: 'hh-rlhf', path: real, hub: '', subset: 'harmless-base' } as const;
      const comparisons = await readComparisons(join(real, 'harmless-base/pairs.jsonl.gz'));
      expect(comparisons).toHaveLength(2000);
      for (const { prompt, chosen, rejected } of comparisons) {
        expect(prompt.startsWith(H) && prompt.endsWith(A)).toBe(true);
        expect(chosen).not.toBe(rejected);
        expect(chosen.includes(H) || rejected.includes(H)).toBe(false);
      }

      const dataset = await loadDataset(settings, { seed: 1, heldOutShare: 0.15, cacheFolder: folder });
      const codec = pieceCodec();
      const counts = { train: 200, reward: 800, judge: 400, calibration: 64, evaluation: 96, accuracy: 100 };
      const prompts = dataset.drawPrompts({ codec, tokens: 48, counts, seed: 1, comparedWithin: 32 });
      const all = promptSetNames.flatMap((name) => prompts[name]);
      expect(all).toHaveLength(1660);
      const setOf = new Map(promptSetNames.flatMap((name) => prompts[name].map(({ id }) => [id, name])));
      expect(setOf.size).toBe(1660);
      const setsOfPrompts = new Set(all.map(({ id, tokens }) => `${setOf.get(id)} ${tokens.join()}`));
      expect(setsOfPrompts.size).toBe(new Set(all.map(({ tokens }) => tokens.join())).size);
      expect(all.every(({ tokens, text }) => tokens.length <= 48 && text.endsWith(A))).toBe(true);
      const opening = (text: string) => text.slice(0, text.indexOf(A));
      const trained = new Set(dataset.trainingTexts.map(opening));
      expect(dataset.heldOutTexts.filter((text) => trained.has(opening(text)))).toEqual([]);

      const pairs = dataset.humanPairs(prompts.reward, { codec, maxResponseTokens: 32, endOfText: -1 });
      for (const { chosen, rejected } of pairs) {
        expect(Math.max(chosen.length, rejected.length)).toBeLessThanOrEqual(32);
        expect(chosen).not.toEqual(rejected);
      }
    });
  },
);
