import { describe, expect, it } from 'vitest';
import { sentenceStarts } from './sentence-starts.js';

describe('sentenceStarts', () => {
  const sentences = (text: string) => {
    const starts = sentenceStarts(text);
    return starts.map((start, index) => text.slice(start, starts[index + 1]).trim());
  };

  it('finds where sentences begin', () => {
    expect(sentenceStarts('One. Two? Three! four. 5 is next.')).toEqual([0, 5, 10, 23]);
  });

  it('keeps closing quotes with the sentence they end, and opening quotes with the one they begin', () => {
    expect(sentences('He said "Stop." Then (see above). "Go on," they said.')).toEqual([
      'He said "Stop."',
      'Then (see above).',
      '"Go on," they said.',
    ]);
  });

  it('does not end a sentence at a title or an initial', () => {
    expect(sentences('Mr. Adams met Gen. U. S. Grant in the U.S. Capitol. They spoke. No. 5 was lost.')).toEqual([
      'Mr. Adams met Gen. U. S. Grant in the U.S. Capitol.',
      'They spoke.',
      'No. 5 was lost.',
    ]);
  });

  it('begins at the first letter, and finds nothing in white space', () => {
    expect(sentenceStarts('  Hello there')).toEqual([2]);
    expect(sentenceStarts(' \n ')).toEqual([]);
    expect(sentenceStarts('')).toEqual([]);
  });
});
