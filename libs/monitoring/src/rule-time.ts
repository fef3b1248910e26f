/** Times as rules write them, all on one scale. */
export interface RuleTime {
  /** A duration, such as `10m`. */
  readonly duration: (seconds: number) => string;
  /** A number of seconds, to compare a metric with. */
  readonly seconds: (seconds: number) => number;
}

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/**
 * Times of rules on a scale.
 *
 * @param scale 1 for what is written; less where a test cannot wait so long
 */
export function ruleTime(scale: number): RuleTime {
  return {
    duration(seconds) {
      const milliseconds = Math.round(seconds * scale * 1000);
      const [unit, size] = units.find(([, size]) => milliseconds % size === 0)!;
      return `${milliseconds / size}${unit}`;
    },
    seconds: (seconds) => seconds * scale,
  };
}
