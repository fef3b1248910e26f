import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComparedTexts, Excerpt, ReplyPair } from './compared-dataset.js';
import { fileStem, isObject, jsonLinesFiles, readJsonLines, textField } from './json-lines.js';
import { partOfSplit, type Part } from './splits.js';
import { cutSummaryPrompt, summaryPrompt, type Post } from './tldr-prompt.js';

/**
 * The official files, by their addresses below that of OpenAI's summarize-from-feedback: the comparisons of summaries of
 * posts (those of news articles are in other files), and the filtered posts with their authors' summaries.
 */
export const tldrFiles: readonly string[] = [
  ...[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22].map(
    (batch) => `dataset/comparisons/batch${batch}.json`,
  ),
  ...['train', 'valid', 'test'].map((split) => `datasets/tldr_3_filtered/${split}.jsonl`),
];

/**
 * The files of a folder that has the official ones: those in its folders `comparisons` and `tldr_3_filtered`, and if it
 * has neither, those in the folder itself.
 *
 * @throws InputError when a folder cannot be read or has none
 */
export async function tldrFilesIn(folder: string): Promise<string[]> {
  const there: string[] = [];
  for (const place of ['comparisons', 'tldr_3_filtered'].map((name) => join(folder, name))) {
    if ((await stat(place).catch(() => undefined))?.isDirectory() === true) there.push(place);
  }
  const files = [];
  for (const place of there.length === 0 ? [folder] : there) {
    files.push(...(await jsonLinesFiles(place, ['json', 'jsonl'])));
  }
  return files;
}

/** What is known of a post from all files together. */
interface KnownPost extends Post {
  readonly id: string;
  /** Held out, if it is anywhere. */
  part: Part | undefined;
  /** The author's own; undefined while only comparisons are known. */
  summary: string | undefined;
}

interface Comparison {
  readonly id: string;
  readonly post: KnownPost;
  readonly part: Part | undefined;
  readonly chosen: string;
  readonly rejected: string;
}

/**
 * Reads posts and comparisons of their summaries, in any order and mixture. A line is a post (`id`, `subreddit`, `title`,
 * `post`, `summary`) or a comparison (`info` with a post's `id`, `subreddit`, `title` and `post`; `summaries`, two objects
 * with `text`; `choice`, the index of the better one; and `split`). Comparisons for a news article are passed over.
 *
 * Each post is one document: with its author's summary or, where only comparisons have it, the first that was preferred.
 * Posts of one text are one group.
 *
 * @throws InputError naming file and line, when a line is malformed or cut off, or a file cannot be read or decompressed
 */
export async function readTldr(files: readonly string[]): Promise<ComparedTexts> {
  const posts = new Map<string, KnownPost>();
  const comparisons: Comparison[] = [];

  const knownPost = (fields: Readonly<Record<string, unknown>>, within: string, part: Part | undefined): KnownPost => {
    const text = (name: string) => textField(fields[name], within + name);
    const post = { id: text('id'), subreddit: text('subreddit'), title: text('title'), body: text('post') };
    const known = posts.get(post.id) ?? { ...post, part, summary: undefined };
    if (part === 'heldOut') known.part = part;
    posts.set(post.id, known);
    return known;
  };

  for (const file of files) {
    const filePart = partOfSplit(fileStem(file));
    const expected =
      'a comparison with "info", "summaries" and "choice", or a post with "id", "subreddit", "title", "post" and "summary"';
    await readJsonLines(file, expected, (record, id) => {
      if ('summary' in record && 'post' in record) {
        knownPost(record, '', filePart).summary ??= asReply(textField(record['summary'], 'summary'));
        return;
      }
      const { info, summaries, choice } = record;
      if (!isObject(info) || summaries === undefined) throw new Error(`expected ${expected}`);
      if ('article' in info) return;
      const part = record['split'] === undefined ? filePart : partOfComparison(textField(record['split'], 'split'));
      if (!Array.isArray(summaries) || summaries.length !== 2) throw new Error('"summaries" must be a list of two');
      const replies = summaries.map((summary: unknown, index) =>
        asReply(textField(isObject(summary) ? summary['text'] : undefined, `summaries[${index}].text`)),
      );
      if (choice !== 0 && choice !== 1) throw new Error('"choice" must be 0 or 1');
      const post = knownPost(info, 'info.', part);
      comparisons.push({ id, post, part, chosen: replies[choice]!, rejected: replies[1 - choice]! });
    });
  }

  for (const { post, chosen } of comparisons) post.summary ??= chosen;
  return {
    documents: Array.from(posts.values(), (post) => ({
      ...excerptOf(post),
      id: post.id,
      part: post.part,
      text: summaryPrompt(post) + post.summary!,
    })),
    pairs: comparisons.map(({ post, ...pair }): ReplyPair => ({ ...excerptOf(post), ...pair })),
  };
}

function partOfComparison(split: string): Part {
  const part = partOfSplit(split);
  if (part === undefined) throw new Error(`"split" must be train, valid1 or valid2, not ${JSON.stringify(split)}`);
  return part;
}

/** A summary as it follows the prompt, after one space. */
function asReply(summary: string): string {
  return ` ${summary.trimStart()}`;
}

function excerptOf(post: Post): Pick<Excerpt, 'group' | 'cutPrompt'> {
  return {
    group: post.body.trim() || post.title,
    cutPrompt: (request) => cutSummaryPrompt(post, request),
  };
}
