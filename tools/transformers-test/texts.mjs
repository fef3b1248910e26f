import { seededRandom } from '@infalign/core';

/** Text whose words are hard to cut: contractions, white space, scripts, emoji, code, numbers. */
export const handwritten = [
  '',
  ' ',
  "they're we'll I'd it's don't y'all 'tis 'S 'LL",
  'tabs\tand\r\nnew  lines\n\n\n  and   spaces   ',
  'a\u0085b\u0085 c\ufeffd \u00a0e\u2003f\u200bg\u3000h\u180ei\u2028j',
  'naïve café ÿ Ÿ Straße ﬁ ª º ² ½ Ⅷ ٣ 三 १२३',
  '東京は日本の首都です。 한국어 עברית العربية ไทย हिन्दी',
  '🙂 👩‍👩‍👧‍👦 🏳️‍🌈 e\u0301 \u0301x',
  'x = foo(bar[1:2], "quux") // {} <|end|> <| endoftext |>\0\x01\x7f',
  'constructor __proto__ toString 1234567890 3.14159 1,000,000',
];

/** Random text: of characters next to which words are cut, and of every block of Unicode below U+3000. */
export const fuzz = Array.from({ length: 400 }, (_, index) => {
  const random = seededRandom('fuzz', index);
  const alphabet = [
    ' ',
    ' ',
    "'",
    's',
    'll',
    '\n',
    '\t',
    'a',
    'é',
    '1',
    '-',
    '\u0085',
    '\ufeff',
    '\u00a0',
    'Ω',
    '東',
    '🙂',
    'the',
  ];
  return Array.from({ length: 1 + random.integer(40) }, () => {
    if (index % 2 === 0) return alphabet[random.integer(alphabet.length)];
    // Letters, numbers, marks, symbols and spaces that Unicode has had for long: tables of other versions agree on them.
    const character = String.fromCodePoint(1 + random.integer(0x2fff));
    return /\p{Assigned}/u.test(character) ? character : '?';
  }).join('');
});
