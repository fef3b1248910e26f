import type { TextCodec } from './dataset.js';

/**
 * A tokenizer of pieces of words, up to four letters each with the space before them: like byte pair encoding, text cut
 * between words keeps its tokens.
 */
export function pieceCodec(): TextCodec {
  const pieces: string[] = [];
  const numbers = new Map<string, number>();
  return {
    encode: (text) =>
      (text.match(/ ?[A-Za-z]{1,4}|[^]/g) ?? []).map((piece) => {
        const known = numbers.get(piece);
        if (known !== undefined) return known;
        numbers.set(piece, pieces.length);
        return pieces.push(piece) - 1;
      }),
    decode: (tokens) => tokens.map((token) => pieces[token]).join(''),
  };
}
