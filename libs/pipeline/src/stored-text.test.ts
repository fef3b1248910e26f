import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '@infalign/checkpoint';
import { trainTokenizer } from '@infalign/language-model';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readModel, storeModel } from './stored-model.js';
import { readText, storeText, textOf, type StoredText } from './stored-text.js';
import { tinyModel, tinyPrompts } from './tiny-experiment.fixture.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'stored-'))));
afterEach(() => rmSync(folder, { recursive: true }));

it.each([
  ['a tokenizer trained here', {}],
  ['a pretrained one', { tokenizerConfigJson: '{"eos_token":"<|endoftext|>","pad_token":"<|endoftext|>"}' }],
])(
  'A text comes back as it was stored, from its folder and from a checkpoint store, with %s',
  async (_, pretrained) => {
    const tokens = Uint16Array.from({ length: 1001 }, (_, index) => (index * 97) % 65_536);
    const text: StoredText = {
      tokenizer: trainTokenizer(['the cat and the hat and the bat'], 262),
      ...pretrained,
      // From the middle of a larger array: the bytes of its own elements are stored, and no others.
      training: tokens.subarray(1, 998),
      heldOut: tokens.subarray(998),
      prompts: tinyPrompts({ train: 2, reward: 1, judge: 1, calibration: 1, evaluation: 1, accuracy: 1 }),
      humanPairs: {
        reward: [],
        judge: [{ promptId: 'a', promptTokens: [1], chosen: [2], rejected: [3] }],
        heldOut: [{ promptId: 'b', promptTokens: [4], chosen: [5], rejected: [6] }],
      },
    };
    storeText(join(folder, 'text'), text);
    const store = openFolderStore(folder);
    for (const found of [readText(join(folder, 'text')), textOf(await store.read('text'), 'text')]) {
      const { tokenizer, ...rest } = found;
      const { tokenizer: expected, ...others } = text;
      expect(rest).toEqual(others);
      expect(tokenizer.toJson()).toBe(expected.toJson());
      expect(tokenizer.decode(tokenizer.encode('the hat'))).toBe('the hat');
      expect(tokenizer.padding).toBe('tokenizerConfigJson' in pretrained ? tokenizer.endOfText : 256);
    }
    await store.close();
  },
);

it('A model comes back as it was stored, with the hash of its content', () => {
  const model = tinyModel('reward', 5);
  const contentHash = storeModel(join(folder, 'model'), model);
  expect(readModel(join(folder, 'model'))).toEqual({ ...model, contentHash });
});
