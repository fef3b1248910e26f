/** A line of the official files of comparisons, with all its fields. */
export function comparisonLine({
  id = 't3_2vwp1w',
  post = 'I had a car accident.',
  title = 'Who is right?',
  texts = [' first summary', ' second summary'],
  choice = 1,
  split = 'train',
}: {
  readonly id?: string;
  readonly post?: string;
  readonly title?: string;
  readonly texts?: readonly [string, string];
  readonly choice?: number;
  readonly split?: string;
}): string {
  return JSON.stringify({
    info: { id, post, title, subreddit: 'legaladvice' },
    summaries: texts.map((text, index) => ({ text, policy: ['sup4_ppo_rm3_kl10', 'ref'][index], note: null })),
    choice,
    worker: 'ikNmucwunMnYJCQpnq6ZYb57OW7NiD',
    batch: 'batch9',
    split,
    extra: { confidence: 8 },
  });
}

/** A line of the official files of filtered posts. */
export function postLine({
  id = 't3_2vwp1w',
  post = 'I had a car accident.',
  title = 'Who is right?',
  summary = 'was it my fault?',
}: {
  readonly id?: string;
  readonly post?: string;
  readonly title?: string;
  readonly summary?: string;
}): string {
  return JSON.stringify({ id, subreddit: 'legaladvice', title, post, summary });
}
