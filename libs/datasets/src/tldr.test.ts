import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { InputError } from '@infalign/core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pieceCodec } from './codec.fixture.js';
import { comparedDataset } from './compared-dataset.js';
import { promptSetNames } from './dataset.js';
import { loadDataset } from './load-dataset.js';
import { comparisonLine, postLine } from './tldr.fixture.js';
import { readTldr, tldrFilesIn } from './tldr.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tldr-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Writes files into a new folder, compressed where the name says so. */
async function write(files: Readonly<Record<string, readonly string[]>>): Promise<string> {
  const place = await mkdtemp(join(folder, 'files-'));
  for (const [name, lines] of Object.entries(files)) {
    const text = lines.join('\n');
    await mkdir(dirname(join(place, name)), { recursive: true });
    await writeFile(join(place, name), name.endsWith('.gz') ? gzipSync(text) : text);
  }
  return place;
}

async function read(files: Readonly<Record<string, readonly string[]>>) {
  return readTldr(await tldrFilesIn(await write(files)));
}

const head = 'SUBREDDIT: r/legaladvice\n\nTITLE: Who is right?\n\nPOST: ';

describe('readTldr', () => {
  it('reads comparisons, preferred summary first, each with a name and its split', async () => {
    const { pairs } = await read({
      'batch9.json': [
        comparisonLine({ choice: 1 }),
        comparisonLine({ choice: 0, split: 'valid1', texts: ['\u2019tis', '  spaced '] }),
      ],
    });
    expect(pairs).toMatchObject([
      { id: 'batch9:1', part: 'training', chosen: ' second summary', rejected: ' first summary' },
      { id: 'batch9:2', part: 'heldOut', chosen: ' ’tis', rejected: ' spaced ' },
    ]);
  });

  it('reads posts, plain and compressed, with the split that the file is named after', async () => {
    const { documents, pairs } = await read({
      'train.jsonl': [postLine({ id: 't3_a', post: 'One.' }), '', postLine({ id: 't3_b', post: 'Two.\n\nThree.' })],
      'valid.jsonl.gz': [postLine({ id: 't3_c', post: 'Four.', summary: 'four' })],
      'more.json.gz': [postLine({ id: 't3_d', post: 'Five.' })],
    });
    expect(pairs).toEqual([]);
    expect(documents.map(({ id, part }) => [id, part])).toEqual([
      ['t3_d', undefined],
      ['t3_a', 'training'],
      ['t3_b', 'training'],
      ['t3_c', 'heldOut'],
    ]);
    expect(documents[2]!.text).toBe(`${head}Two.\n\nThree.\n\nTL;DR: was it my fault?`);
    expect(documents[3]!.text).toBe(`${head}Four.\n\nTL;DR: four`);
  });

  it("makes one document of a post, with its author's summary, or else the first that was preferred", async () => {
    const compared = { id: 't3_a', post: 'Compared.' };
    const both = { id: 't3_b', post: 'Both.' };
    const { documents, pairs } = await read({
      'comparisons/batch3.json': [
        comparisonLine({ ...compared, choice: 1 }),
        comparisonLine({ ...both }),
        comparisonLine({ ...compared, choice: 0 }),
      ],
      'tldr_3_filtered/train.jsonl': [postLine(both)],
    });
    expect(documents.map(({ id, text }) => [id, text])).toEqual([
      ['t3_a', `${head}Compared.\n\nTL;DR: second summary`],
      ['t3_b', `${head}Both.\n\nTL;DR: was it my fault?`],
    ]);
    expect(pairs.map(({ id }) => id)).toEqual(['batch3:1', 'batch3:2', 'batch3:3']);
  });

  it('counts a post as held out that is held out anywhere', async () => {
    for (const names of [
      ['1.json', '2.json'],
      ['2.json', '1.json'],
    ] as const) {
      const { documents } = await read({
        [names[0]]: [comparisonLine({ split: 'valid2' })],
        [names[1]]: [comparisonLine({ split: 'train' })],
      });
      expect(documents.map(({ part }) => part)).toEqual(['heldOut']);
    }
  });

  it('passes over comparisons for news articles', async () => {
    const article = { id: '1', site: 'dailymail', title: 'News', article: 'Something happened.' };
    const news = { ...(JSON.parse(comparisonLine({})) as object), info: article };
    const { documents, pairs } = await read({ 'cnndm0.json': [JSON.stringify(news), comparisonLine({})] });
    expect([documents.length, pairs.map(({ id }) => id)]).toEqual([1, ['cnndm0:2']]);
  });

  const changed = (line: string, change: object) => JSON.stringify({ ...(JSON.parse(line) as object), ...change });
  it.each([
    [
      comparisonLine({}).slice(0, 60),
      'is not complete JSON; expected a comparison with "info", "summaries" and "choice", or a post',
    ],
    ['[]', 'expected a comparison with'],
    ['{"chosen": "", "rejected": ""}', 'expected a comparison with'],
    [
      changed(comparisonLine({}), { summaries: undefined, summary: { text: '', axes: {} } }),
      'expected a comparison with',
    ],
    [changed(comparisonLine({}), { info: { id: 't3_a', title: '', subreddit: '' } }), '"info.post" is missing'],
    [changed(comparisonLine({}), { info: { id: 3, title: '', subreddit: '', post: '' } }), '"info.id" must be text'],
    [changed(comparisonLine({}), { summaries: [{ text: 'one' }] }), '"summaries" must be a list of two'],
    [changed(comparisonLine({}), { summaries: [{ text: 'one' }, 'two'] }), '"summaries[1].text" is missing'],
    [changed(comparisonLine({}), { summaries: [{ text: null }, { text: '' }] }), '"summaries[0].text" must be text'],
    [changed(comparisonLine({}), { choice: 2 }), '"choice" must be 0 or 1'],
    [changed(comparisonLine({}), { choice: undefined }), '"choice" must be 0 or 1'],
    [changed(comparisonLine({}), { split: 'dev' }), '"split" must be train, valid1 or valid2, not "dev"'],
    [changed(postLine({}), { summary: null }), '"summary" must be text'],
    [changed(postLine({}), { title: undefined }), '"title" is missing'],
  ])('names file and line of what is malformed in %j', async (line, message) => {
    const place = await write({ 'bad.json': [comparisonLine({}), '', line] });
    const reading = readTldr([join(place, 'bad.json')]);
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(`${join(place, 'bad.json')}:3: ${message}`);
  });

  it('names a compressed file that is cut off', async () => {
    const place = await write({});
    const file = join(place, 'train.jsonl.gz');
    const whole = gzipSync(Array.from({ length: 200 }, (_, index) => postLine({ id: `${index * 7919}` })).join('\n'));
    await writeFile(file, whole.subarray(0, whole.length - 50));
    await expect(readTldr([file])).rejects.toThrow(`${file}: is gzip data that ends too early`);
  });
});

describe('tldrFilesIn', () => {
  it('takes the folders of the official files where there are any, and else the folder itself', async () => {
    const nested = await write({ 'notes.json': [], 'comparisons/b.json': [], 'tldr_3_filtered/train.jsonl.gz': [] });
    expect(await tldrFilesIn(nested)).toEqual([
      join(nested, 'comparisons/b.json'),
      join(nested, 'tldr_3_filtered/train.jsonl.gz'),
    ]);
    const comparisons = await write({ 'comparisons/b.json': [], 'axis_evals/a.json': [] });
    expect(await tldrFilesIn(comparisons)).toEqual([join(comparisons, 'comparisons/b.json')]);
    const flat = await write({ 'b.json.gz': [], 'a.jsonl': [], 'data.parquet': [] });
    expect(await tldrFilesIn(flat)).toEqual([join(flat, 'a.jsonl'), join(flat, 'b.json.gz')]);
  });

  it('says when there is none', async () => {
    const place = await write({ 'data.parquet': [] });
    await expect(tldrFilesIn(place)).rejects.toThrow(
      `${place}: has no *.json or *.json.gz or *.jsonl or *.jsonl.gz file; put the dataset's own files there`,
    );
  });
});

describe('TL;DR as a dataset', () => {
  const codec = pieceCodec();
  const options = { seed: 1, heldOutShare: 0.25, cacheFolder: '' };
  const bodies = Array.from(
    { length: 40 },
    (_, index) => `Story ${'abcdefghijklmnopqrstuvwxyz'[index % 26]} of ${index}.`,
  );
  const counts = { train: 4, reward: 20, judge: 15, calibration: 2, evaluation: 2, accuracy: 2 };
  const load = async (files: Readonly<Record<string, readonly string[]>>) =>
    loadDataset({ kind: 'tldr', path: await write(files), url: '' }, options);
  /** Number `index` of the comparisons of a post. */
  const compared = (number: number, index: number, split: string) =>
    comparisonLine({
      id: `t3_${number}`,
      post: bodies[number]!,
      texts: [` good ${number} ${index}`, ` bad ${number} ${index}`],
      choice: 0,
      split,
    });
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);
  const comparisons = (from: number, to: number, split: string) =>
    range(from, to).flatMap((number) => [0, 1, 2, 3].map((index) => compared(number, index, split)));

  it('trains on the train split, and draws held-out prompts and pairs from the validation and test splits', async () => {
    const post = (number: number) => postLine({ id: `t3_${number}`, post: bodies[number]! });
    const dataset = await load({
      // Three posts of the validation split have comparisons of the train split as well.
      'comparisons/batch3.json': [...comparisons(0, 16, 'train'), ...comparisons(30, 33, 'train')],
      'comparisons/batch22.json': comparisons(30, 36, 'valid2'),
      'tldr_3_filtered/train.jsonl.gz': range(10, 25).map(post),
      'tldr_3_filtered/valid.jsonl': range(36, 38).map(post),
      'tldr_3_filtered/test.jsonl': range(38, 40).map(post),
    });
    const numbers = (texts: readonly string[]) =>
      texts.map((text) => Number(/of (\d+)\./.exec(text)![1])).sort((a, b) => a - b);
    expect(numbers(dataset.trainingTexts)).toEqual(range(0, 25));
    expect(numbers(dataset.heldOutTexts)).toEqual(range(30, 40));

    const sets = dataset.drawPrompts({ codec, tokens: 60, counts, seed: 1, comparedWithin: 20 });
    for (const name of promptSetNames) {
      expect(sets[name]).toHaveLength(counts[name]);
      const held = ['calibration', 'evaluation', 'accuracy'].includes(name);
      for (const { text, id } of sets[name]) {
        expect(text).toMatch(
          /^SUBREDDIT: r\/legaladvice\n\nTITLE: Who is right\?\n\nPOST: Story . of \d+\.\n\nTL;DR:$/,
        );
        expect(numbers([text])[0]! >= 30).toBe(held);
        const pairs = ['reward', 'judge', 'accuracy'].includes(name);
        expect(id).toMatch(pairs ? (held ? /^batch22:/ : /^batch3:/) : /^t3_/);
      }
    }
    // A post is in one set, with more than one of its pairs.
    const setsOf = (number: number) =>
      promptSetNames.filter((name) => numbers(sets[name].map(({ text }) => text)).includes(number));
    expect(
      range(0, 40)
        .map((number) => setsOf(number).length)
        .every((count) => count <= 1),
    ).toBe(true);
    expect(new Set(sets.reward.map(({ text }) => text)).size).toBeLessThan(sets.reward.length);

    for (const { promptId, promptTokens, chosen, rejected } of dataset.humanPairs(sets.accuracy, {
      codec,
      maxResponseTokens: 20,
      endOfText: 999,
    })) {
      const line = Number(promptId.split(':')[1]) - 1;
      const end = `${30 + Math.floor(line / 4)} ${line % 4}`;
      expect(chosen).toEqual([...Array.from(codec.encode(` good ${end}`)), 999]);
      expect(rejected).toEqual([...Array.from(codec.encode(` bad ${end}`)), 999]);
      expect(codec.decode(promptTokens)).toContain(bodies[30 + Math.floor(line / 4)]);
    }
  });

  it('holds out a share of the posts, with all of their comparisons, where the files are of one split', async () => {
    for (const split of ['train', 'valid1']) {
      const dataset = await load({ 'some.json': comparisons(0, 20, split) });
      expect([dataset.trainingTexts.length, dataset.heldOutTexts.length]).toEqual([15, 5]);
      const fewer = { ...counts, accuracy: 1 };
      const sets = dataset.drawPrompts({ codec, tokens: 60, counts: fewer, seed: 1, comparedWithin: 20 });
      const held = new Set(dataset.heldOutTexts.map((text) => /POST: (.*)/.exec(text)![1]));
      for (const { text } of sets.accuracy) expect(held).toContain(/POST: (.*)/.exec(text)![1]);
      for (const { text } of [...sets.reward, ...sets.judge, ...sets.train])
        expect(held).not.toContain(/POST: (.*)/.exec(text)![1]);
    }
  });

  it('never has the text of one post on both sides, however posts and comparisons repeat', async () => {
    const item = fc.record({
      id: fc.integer({ min: 0, max: 9 }),
      copy: fc.boolean(),
      split: fc.constantFrom('train', 'train', 'train', 'valid1', 'valid2'),
      post: fc.boolean(),
    });
    let divided = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 25 }), fc.nat(), async (items, seed) => {
        // A copy is the same text under another id.
        const fields = ({ id, copy }: { id: number; copy: boolean }) => ({
          id: `t3_${id}${copy ? '_copy' : ''}`,
          post: bodies[id]!,
        });
        const files: Record<string, string[]> = {};
        for (const one of items) {
          if (one.post) (files[`${one.split}.jsonl`] ??= []).push(postLine(fields(one)));
          else (files['batch.json'] ??= []).push(comparisonLine({ ...fields(one), split: one.split }));
        }
        const texts = await read(files);
        let dataset;
        try {
          dataset = comparedDataset(texts, { seed, heldOutShare: 0.3 });
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          return;
        }
        divided++;
        const body = (text: string) => /POST: (.*)/.exec(text)![1]!;
        const held = new Set(dataset.heldOutTexts.map(body));
        expect(dataset.trainingTexts.filter((text) => held.has(body(text)))).toEqual([]);
        expect(dataset.trainingTexts.length).toBeGreaterThan(0);
        expect(held.size).toBeGreaterThan(0);
      }),
      { seed: 1, numRuns: 100 },
    );
    expect(divided).toBeGreaterThan(60);
  });

  it('says when posts are too long for the tokens, or have no comparisons', async () => {
    const dataset = await load({
      'train.jsonl': range(0, 20).map((number) => postLine({ id: `${number}`, post: bodies[number]! })),
    });
    expect(() => dataset.drawPrompts({ codec, tokens: 16, counts, seed: 1 })).toThrow(
      '4 train prompts of 16 tokens are asked for, but after those already drawn the training documents have only 0 more ' +
        'that differ (15 others do not do)',
    );
    expect(() => dataset.drawPrompts({ codec, tokens: 60, counts, seed: 1, comparedWithin: 20 })).toThrow(
      'the dataset has no comparisons by people; labels: human needs some',
    );
  });
});
