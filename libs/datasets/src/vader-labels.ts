import { SentimentIntensityAnalyzer } from 'vader-sentiment';
import type { PreferencePair, Prompt } from './dataset.js';

/**
 * How positive an English text is: VADER's compound score, from −1 to 1, 0 for text without a word that it knows.
 *
 * Hutto and Gilbert, "VADER: A parsimonious rule-based model for sentiment analysis of social media text", ICWSM 2014.
 */
export function sentiment(text: string): number {
  return SentimentIntensityAnalyzer.polarity_scores(text).compound;
}

/** A sampled response. */
export interface Response {
  readonly tokens: readonly number[];
  /** What it says, without end-of-text. */
  readonly text: string;
}

/**
 * Labels sampled responses by their sentiment: the first against the second, the third against the fourth, and so on; the
 * more positive one is chosen, and a pair that ties is left out.
 *
 * @param responses an even number of responses to the prompt
 * @throws Error when the number is odd
 */
export function vaderPairs(prompt: Pick<Prompt, 'id' | 'tokens'>, responses: readonly Response[]): PreferencePair[] {
  if (responses.length % 2 !== 0) throw new Error(`${responses.length} responses do not make pairs`);
  const pairs: PreferencePair[] = [];
  for (let index = 0; index < responses.length; index += 2) {
    const [first, second] = responses.slice(index, index + 2) as [Response, Response];
    const lead = sentiment(first.text) - sentiment(second.text);
    if (lead === 0) continue;
    const [chosen, rejected] = lead > 0 ? [first, second] : [second, first];
    pairs.push({
      promptId: prompt.id,
      promptTokens: prompt.tokens,
      chosen: chosen.tokens,
      rejected: rejected.tokens,
    });
  }
  return pairs;
}
