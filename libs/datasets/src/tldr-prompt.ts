import type { PromptRequest } from './dataset.js';

/** A post on Reddit, as a prompt shows it. */
export interface Post {
  /** Name of the subreddit, without `r/`. */
  readonly subreddit: string;
  readonly title: string;
  readonly body: string;
}

/** The prompt that asks for the summary of a post: that of Stiennon et al., arXiv 2009.01325. */
export function summaryPrompt({ subreddit, title, body }: Post): string {
  return `SUBREDDIT: r/${subreddit}\n\nTITLE: ${title}\n\nPOST: ${body}\n\nTL;DR:`;
}

/**
 * The prompt of a post in at most so many tokens. Of one that is longer, the post's last lines are left out, and if its
 * first line is still too long, the end of that; what stands before and behind the post stays.
 *
 * @returns its tokens; undefined if nothing of the post has room
 */
export function cutSummaryPrompt(
  post: Post,
  { codec, tokens }: Pick<PromptRequest, 'codec' | 'tokens'>,
): readonly number[] | undefined {
  const fitting = (body: string): number[] | undefined => {
    const encoded = Array.from(codec.encode(summaryPrompt({ ...post, body })));
    return encoded.length <= tokens ? encoded : undefined;
  };
  let body = post.body;
  let found = fitting(body);
  while (found === undefined && body.includes('\n')) {
    body = body.slice(0, body.lastIndexOf('\n'));
    found = fitting(body);
  }
  if (found === undefined) {
    let length = 0;
    for (let tooLong = body.length; tooLong - length > 1;) {
      const middle = (length + tooLong) >> 1;
      if (fitting(body.slice(0, middle)) === undefined) tooLong = middle;
      else length = middle;
    }
    body = body.slice(0, length).replace(/[\uD800-\uDBFF]$/, ''); // not half of a character
    found = fitting(body);
  }
  return body.trim() === '' && post.body.trim() !== '' ? undefined : found;
}
