import { describe, expect, it } from 'vitest';
import type { LanguageModelConfig } from './definition.js';
import { judgedSequence } from './judged-sequence.js';

const config = { eosTokenId: 9 } as LanguageModelConfig;

describe('judgedSequence', () => {
  it('ends every response by one end-of-text', () => {
    const read = (...responseTokens: number[]) =>
      Array.from(judgedSequence(config, { promptTokens: [9, 1], responseTokens }).responseTokens);
    expect(read(3, 4)).toEqual([3, 4, 9]);
    expect(read(3, 9)).toEqual([3, 9]);
    expect(read(9)).toEqual([9]);
    expect(read(9, 3)).toEqual([9, 3, 9]);
  });
});
