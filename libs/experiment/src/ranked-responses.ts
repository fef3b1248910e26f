import type { ScoredRollout } from '@infalign/contracts';
import type { Tokenizer } from '@infalign/language-model';

/** A response that the report shows, by its place among the responses to its prompt. */
export interface RankedResponse {
  readonly rank: 'best' | 'median' | 'worst';
  readonly text: string;
  readonly reward: number;
  readonly judgeReward: number;
}

/** The best, the median and the worst response to a prompt, by the proxy's reward. */
export function rankedResponses(rollouts: readonly ScoredRollout[], tokenizer: Tokenizer): RankedResponse[] {
  const ordered = [...rollouts].sort((a, b) => b.reward!.reward - a.reward!.reward);
  const places = { best: 0, median: Math.floor(ordered.length / 2), worst: ordered.length - 1 } as const;
  return (['best', 'median', 'worst'] as const).map((rank) => {
    const { rollout, reward, judge } = ordered[places[rank]]!;
    return {
      rank,
      text: tokenizer.decode(rollout!.responseTokens),
      reward: reward!.reward,
      judgeReward: judge!.reward,
    };
  });
}
