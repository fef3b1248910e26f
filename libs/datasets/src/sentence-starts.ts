/** What ends in a full stop and is no end of a sentence. */
const ABBREVIATION =
  /(?:^|[\s("'])(?:Mr|Mrs|Ms|Messrs|Dr|St|Gen|Col|Capt|Lieut|Maj|Gov|Hon|Sen|Rev|Jr|Sr|No|Nos|Vol|Art|[A-Z](?:\.[A-Z])*)\.$/;

/**
 * Where the sentences of an English text begin: its start, and every capital letter, digit or opening quote that follows
 * a full stop, question mark or exclamation mark and white space. Titles and initials ("Mr.", "U.S.") do not end one.
 *
 * @returns offsets in UTF-16 units, ascending
 */
export function sentenceStarts(text: string): number[] {
  const first = text.search(/\S/);
  if (first < 0) return [];
  const starts = [first];
  for (const match of text.matchAll(/[.?!]["')\]]*\s+(?=["'([]?[A-Z0-9])/g)) {
    if (match[0].startsWith('.') && ABBREVIATION.test(text.slice(Math.max(0, match.index - 12), match.index + 1)))
      continue;
    starts.push(match.index + match[0].length);
  }
  return starts;
}
