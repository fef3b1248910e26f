import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pieceCodec } from './codec.fixture.js';
import type { TextCodec } from './dataset.js';
import { cutSummaryPrompt, summaryPrompt, type Post } from './tldr-prompt.js';

describe('summaryPrompt', () => {
  it("is the paper's", () => {
    expect(summaryPrompt({ subreddit: 'tifu', title: 'TIFU by reading', body: 'I read.\n\nThen I slept.' })).toBe(
      'SUBREDDIT: r/tifu\n\nTITLE: TIFU by reading\n\nPOST: I read.\n\nThen I slept.\n\nTL;DR:',
    );
  });
});

describe('cutSummaryPrompt', () => {
  const codec = pieceCodec();
  /** As the paper has it: line by line from the end, and character by character where there is one line. */
  function cutSlowly(post: Post, tokens: number): string | undefined {
    let { body } = post;
    while (codec.encode(summaryPrompt({ ...post, body })).length > tokens) {
      if (body === '') return undefined;
      body = body.slice(0, body.includes('\n') ? body.lastIndexOf('\n') : -1);
    }
    return body.trim() === '' && post.body.trim() !== '' ? undefined : body;
  }
  const word = fc.stringMatching(/^[a-zA-Z]{1,9}$/);
  const words = fc.array(word, { maxLength: 8 }).map((all) => all.join(' '));
  const post = fc.record({
    subreddit: word,
    title: words,
    body: fc.array(words, { maxLength: 6 }).map((lines) => lines.join('\n')),
  });

  it('leaves out lines from the end, and then the end of the first, as the paper does', () => {
    const seen = { whole: 0, lines: 0, characters: 0, none: 0 };
    fc.assert(
      fc.property(post, fc.integer({ min: 20, max: 120 }), (post, tokens) => {
        const body = cutSlowly(post, tokens);
        const cut = cutSummaryPrompt(post, { codec, tokens });
        const expected = body === undefined ? undefined : codec.encode(summaryPrompt({ ...post, body }));
        expect(cut).toEqual(expected);
        if (body === undefined) seen.none++;
        else if (body === post.body) seen.whole++;
        else if (post.body[body.length] === '\n') seen.lines++;
        else seen.characters++;
      }),
      { seed: 1, numRuns: 1000 },
    );
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(20);
  });

  it('keeps within the tokens, from SUBREDDIT to TL;DR, whatever is written', () => {
    const bytes: TextCodec = {
      encode: (text) => new TextEncoder().encode(text),
      decode: (tokens) => new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(tokens)),
    };
    const anything = fc.string({ unit: 'grapheme', maxLength: 60 });
    let cuts = 0;
    fc.assert(
      fc.property(anything, anything, fc.integer({ min: 40, max: 150 }), (title, body, tokens) => {
        const cut = cutSummaryPrompt({ subreddit: 'x', title, body }, { codec: bytes, tokens });
        if (cut === undefined) return;
        expect(cut.length).toBeLessThanOrEqual(tokens);
        const text = bytes.decode(cut);
        const head = `SUBREDDIT: r/x\n\nTITLE: ${title}\n\nPOST: `;
        expect(text.startsWith(head) && text.endsWith('\n\nTL;DR:')).toBe(true);
        const kept = text.slice(head.length, -'\n\nTL;DR:'.length);
        expect(body.startsWith(kept)).toBe(true);
        expect(kept.trim() === '' && body.trim() !== '').toBe(false);
        if (kept !== body) cuts++;
      }),
      { seed: 1, numRuns: 500 },
    );
    expect(cuts).toBeGreaterThan(50);
  });

  it('has no prompt where nothing of the post has room, and one where there is no post', () => {
    const head = codec.encode(summaryPrompt({ subreddit: 'a', title: 'b', body: '' })).length;
    expect(cutSummaryPrompt({ subreddit: 'a', title: 'b', body: '12' }, { codec, tokens: head })).toBeUndefined();
    expect(cutSummaryPrompt({ subreddit: 'a', title: 'b', body: '12' }, { codec, tokens: head + 1 })).toHaveLength(
      head + 1,
    );
    expect(cutSummaryPrompt({ subreddit: 'a', title: 'b', body: '' }, { codec, tokens: head })).toHaveLength(head);
  });
});
