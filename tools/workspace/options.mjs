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
