/** A string that two prompts share if, and only if, they are the same tokens. */
export function promptKey(tokens: ArrayLike<number>): string {
  return Array.prototype.join.call(tokens, ',');
}
