/**
 * The whole number that an option was given.
 *
 * @param {string} name of the option, without its dashes
 * @param {string} text
 * @param {number} least that is allowed
 */
export function wholeNumber(name, text, least) {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} ${text}: it is a whole number of at least ${least}.`);
}

/**
 * What an option was given, which is one of a few words.
 *
 * @param {string} name of the option, without its dashes
 * @param {string} text
 * @param {readonly string[]} words two or more
 */
export function oneOf(name, text, words) {
  if (words.includes(text)) return text;
  throw new Error(`--${name} ${text}: it is ${words.slice(0, -1).join(', ')} or ${words.at(-1)}.`);
}

/**
 * The names that an option was given, with commas between them.
 *
 * @param {string} name of the option, without its dashes
 * @param {string} text
 * @param {object} known has a property for every name there is
 */
export function knownNames(name, text, known) {
  const names = text.split(',');
  const unknown = names.filter((each) => !Object.hasOwn(known, each));
  if (unknown.length > 0) throw new Error(`--${name} ${text}: there is no ${unknown.join(', ')}.`);
  return names;
}
