import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { pieceCodec } from './codec.fixture.js';
import { promptSetNames } from './dataset.js';
import { sentenceStarts } from './sentence-starts.js';
import { plainTextDataset, stateOfTheUnion, stateOfTheUnionAddresses } from './state-of-the-union.js';

const counts = { train: 256, reward: 2000, judge: 2000, calibration: 64, evaluation: 96, accuracy: 0 };

describe('stateOfTheUnionAddresses', () => {
  const addresses = stateOfTheUnionAddresses();

  it('has the 233 addresses from 1790 to 2021, each with its year and speaker', () => {
    expect(addresses).toHaveLength(233);
    expect(new Set(addresses.map(({ id }) => id)).size).toBe(233);
    const lincoln = addresses.find(({ id }) => id === '1863-abraham-lincoln');
    expect(lincoln?.text).toMatch(
      /^Fellow-Citizens of the Senate and House of Representatives: Another year of health/,
    );
    const characters = addresses.reduce((sum, { text }) => sum + text.length, 0);
    expect(characters).toBeGreaterThan(10_700_000);
  });

  it('has one spelling of quotes, dashes and spaces', () => {
    for (const { text } of addresses) {
      expect(text).not.toMatch(/[‘’“”–—‑]|\s\s|[^ \S]|^\s|\s$/);
      expect(text).not.toMatch(/[\u0000-\u001f]/);
    }
  });
});

describe('stateOfTheUnion', () => {
  const dataset = stateOfTheUnion({ seed: 1, heldOutShare: 0.15 });
  const codec = pieceCodec();
  const prompts = dataset.drawPrompts({ codec, tokens: 16, counts, seed: 1 });

  it('holds out 15 % of the addresses', () => {
    expect(dataset.trainingTexts).toHaveLength(198);
    expect(dataset.heldOutTexts).toHaveLength(35);
    expect(new Set([...dataset.trainingTexts, ...dataset.heldOutTexts]).size).toBe(233);
  });

  it('draws prompts of exactly the tokens asked for, none twice', () => {
    const all = promptSetNames.flatMap((name) => prompts[name]);
    expect(all).toHaveLength(4416);
    expect(new Set(all.map(({ text }) => text)).size).toBe(4416);
    expect(new Set(all.map(({ id }) => id)).size).toBe(4416);
    for (const { tokens, text } of all) {
      expect(tokens).toHaveLength(16);
      expect(codec.decode(tokens)).toBe(text);
    }
  });

  it('begins prompts at sentences of the address that the id names, with the tokens that the address has there', () => {
    const addresses = new Map(stateOfTheUnionAddresses().map(({ id, text }) => [id, text]));
    for (const { id, tokens, text } of [...prompts.train, ...prompts.evaluation]) {
      const [name, start] = id.split('@') as [string, string];
      const address = addresses.get(name)!;
      expect(sentenceStarts(address)).toContain(Number(start));
      expect(address.startsWith(text, Number(start))).toBe(true);
      expect(Array.from(codec.encode(address.slice(Number(start)).slice(0, 2000))).slice(0, 16)).toEqual(tokens);
    }
  });

  it('takes calibration and evaluation prompts from held-out addresses, and none with which a training sentence begins', () => {
    const heldOut = [...prompts.calibration, ...prompts.evaluation].map(({ text }) => text);
    for (const text of heldOut) expect(dataset.heldOutTexts.some((address) => address.includes(text))).toBe(true);
    for (const address of dataset.trainingTexts) {
      const starts = sentenceStarts(address);
      expect(heldOut.filter((text) => starts.some((start) => address.startsWith(text, start)))).toEqual([]);
    }
    for (const { text } of prompts.train)
      expect(dataset.trainingTexts.some((other) => other.includes(text))).toBe(true);
  });

  it('gives the same prompts for the same seed, and others for another', () => {
    const again = stateOfTheUnion({ seed: 1, heldOutShare: 0.15 }).drawPrompts({ codec, tokens: 16, counts, seed: 1 });
    expect(again).toEqual(prompts);
    const other = dataset.drawPrompts({ codec, tokens: 16, counts, seed: 2 });
    const ids = new Set(prompts.evaluation.map(({ id }) => id));
    expect(other.evaluation.filter(({ id }) => ids.has(id)).length).toBeLessThan(20);
  });

  it('says so when more prompts are wanted than there are sentences', () => {
    const many = { ...counts, evaluation: 1_000_000 };
    expect(() => dataset.drawPrompts({ codec, tokens: 16, counts: many, seed: 1 })).toThrow(
      /^1000000 evaluation prompts of 16 tokens are asked for, but .* held-out documents have only \d+ more/,
    );
  });

  it('has no human preferences', () => {
    expect(() => dataset.drawPrompts({ codec, tokens: 16, counts, seed: 1, comparedWithin: 20 })).toThrow(InputError);
    expect(() => dataset.humanPairs([], { codec, maxResponseTokens: 20, endOfText: 0 })).toThrow(/labels: vader/);
  });
});

describe('plainTextDataset', () => {
  it('keeps equal documents on one side and draws a sentence that several documents share once', () => {
    const shared = 'We the people stand here today and always will. ';
    const documents = Array.from({ length: 40 }, (_, index) => ({
      id: `d${index}`,
      text: `${shared}Only number ${'abcdefghij'[index % 10]} says this and no other does so. ${shared}`.trim(),
    }));
    const dataset = plainTextDataset(documents, { seed: 3, heldOutShare: 0.4 });
    expect(dataset.heldOutTexts).toHaveLength(16); // 4 of 10 different texts, 4 times each
    expect(dataset.trainingTexts.filter((text) => dataset.heldOutTexts.includes(text))).toEqual([]);
    const sets = dataset.drawPrompts({
      codec: pieceCodec(),
      tokens: 8,
      counts: { train: 7, reward: 0, judge: 0, calibration: 0, evaluation: 4, accuracy: 0 },
      seed: 1,
    });
    expect(sets.train.filter(({ text }) => text.startsWith('We the people'))).toHaveLength(1);
    expect(sets.evaluation.every(({ text }) => text.startsWith('Only number'))).toBe(true);
  });

  it('draws no prompt where a document ends too soon, nor one that ends within a character', () => {
    const bytes = {
      encode: (text: string) => new TextEncoder().encode(text),
      decode: (tokens: readonly number[]) => new TextDecoder().decode(Uint8Array.from(tokens)),
    };
    const documents = ['Too short.', 'Splits its é at the end.', 'Has enough of text here.', 'And one more of them.'];
    const datasetOf = (seed: number) =>
      plainTextDataset(
        [...documents, 'Held out.'].map((text, index) => ({ id: `d${index}`, text })),
        { seed, heldOutShare: 0.2 },
      );
    let seed = 1;
    while (datasetOf(seed).heldOutTexts[0] !== 'Held out.') seed++;
    const draw = (train: number) =>
      datasetOf(seed).drawPrompts({
        codec: bytes,
        tokens: 12,
        counts: { train, reward: 0, judge: 0, calibration: 0, evaluation: 0, accuracy: 0 },
        seed: 1,
      });
    const texts = draw(2).train.map(({ text }) => text);
    expect(texts.sort()).toEqual(['And one more', 'Has enough o']);
    expect(() => draw(3)).toThrow(/only 2 more/);
  });
});
