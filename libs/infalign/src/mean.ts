/** The mean of some numbers; NaN of none. Their sum is rounded: `bootstrapMean` gives the mean of equal values exactly. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let index = 0; index < values.length; index++) sum += values[index]!;
  return sum / values.length;
}
