import { describe, expect, it } from 'vitest';
import { sentiment, vaderPairs } from './vader-labels.js';

describe('sentiment', () => {
  // The first two are the compound scores that the documentation of VADER itself shows.
  it.each([
    ['VADER is smart, handsome, and funny.', 0.8316],
    ['VADER is not smart, handsome, nor funny.', -0.7424],
    ['The ministers met in the capital.', 0],
    ['', 0],
    [' \n ', 0],
  ])('of %j is %d', (text, compound) => {
    expect(sentiment(text)).toBeCloseTo(compound, 4);
  });
});

describe('vaderPairs', () => {
  const prompt = { id: 'p', tokens: [7, 8] };
  const good = { tokens: [1], text: 'peace and happiness' };
  const bad = { tokens: [2], text: 'war and misery' };
  const neutral = { tokens: [3], text: 'the committee' };

  it('chooses the more positive of each two, whichever comes first', () => {
    expect(vaderPairs(prompt, [good, bad, bad, neutral])).toEqual([
      { promptId: 'p', promptTokens: [7, 8], chosen: [1], rejected: [2] },
      { promptId: 'p', promptTokens: [7, 8], chosen: [3], rejected: [2] },
    ]);
  });

  it('leaves out ties', () => {
    expect(vaderPairs(prompt, [neutral, neutral, good, good])).toEqual([]);
    expect(vaderPairs(prompt, [])).toEqual([]);
  });

  it('refuses an odd number of responses', () => {
    expect(() => vaderPairs(prompt, [good, bad, neutral])).toThrow('3 responses do not make pairs');
  });
});
