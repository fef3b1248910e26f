import { InputError } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from '../tokenizer.js';
import { chatTemplate, type ChatMessage } from './chat-template.js';

/** A token for every byte, and special ones that begin and end a message: as SmolLM2 writes conversations. */
const tokenizer = createTokenizer([]);
const [start, end] = ['<|padding|>', '<|endoftext|>'];
const source =
  "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}" +
  `{{ bos_token + 'system\\nBe brief.' + eos_token + '\\n' }}{% endif %}` +
  `{{ '${start}' + message['role'] + '\\n' + message['content'] + '${end}' + '\\n' }}{% endfor %}` +
  `{% if add_generation_prompt %}{{ '${start}assistant\\n' }}{% endif %}`;
const withTemplate = (chat_template: unknown) =>
  chatTemplate(
    {
      tokenizerJson: tokenizer.toJson(),
      tokenizerConfigJson: JSON.stringify({
        bos_token: start,
        eos_token: { content: end },
        pad_token: start,
        chat_template,
      }),
    },
    'folder',
  );
const chat = withTemplate(source);
const without = { addGenerationPrompt: false };

describe('a chat template', () => {
  it('renders a conversation, with and without the start of an answer', () => {
    const messages: ChatMessage[] = [
      { role: 'user', content: ' a\n' },
      { role: 'assistant', content: 'b' },
    ];
    const text = `${start}system\nBe brief.${end}\n${start}user\n a\n${end}\n${start}assistant\nb${end}\n`;
    expect(chat.render(messages, without)).toBe(text);
    expect(chat.render(messages, { addGenerationPrompt: true })).toBe(`${text}${start}assistant\n`);
    expect(chat.render([{ role: 'system', content: 'a' }], without)).toBe(`${start}system\na${end}\n`);
  });

  it('becomes tokens, special ones where the template has them', () => {
    const { padding, endOfText } = tokenizer;
    expect(Array.from(chat.encode([{ role: 'system', content: 'naïve' }], { addGenerationPrompt: true }))).toEqual([
      padding,
      ...tokenizer.encode('system\nnaïve'),
      endOfText,
      ...tokenizer.encode('\n'),
      padding,
      ...tokenizer.encode('assistant\n'),
    ]);
  });

  it('gives a message no way to write special tokens, whatever it says', () => {
    const piece = fc.constantFrom(end, start, '<|endof', 'text|>', '<', '|>', '\uFDD0', '\uFDD0\uFDD0', 'a', ' ', '🙂');
    fc.assert(
      fc.property(fc.array(piece), fc.boolean(), (pieces, addGenerationPrompt) => {
        const encode = (content: string) =>
          Array.from(chat.encode([{ role: 'user', content }], { addGenerationPrompt }));
        const content = pieces.join('');
        const empty = encode('');
        const place = empty.lastIndexOf(tokenizer.endOfText);
        expect(encode(content)).toEqual([
          ...empty.slice(0, place),
          ...tokenizer.encode(content),
          ...empty.slice(place),
        ]);
      }),
      { seed: 1 },
    );
  });

  it('is the default one of several', () => {
    const several = [
      { name: 'tools', template: 'x' },
      { name: 'default', template: '{{ messages | length }}{% if tools is none %}{{ eos_token }}{% endif %}' },
    ];
    expect(withTemplate(several).render([], without)).toBe(`0${end}`);
  });

  it('that is missing, malformed, or refuses a conversation is an error of the user', () => {
    expect(() => withTemplate(undefined)).toThrow('folder: has no chat template');
    expect(() => withTemplate([{ name: 'tools', template: 'x' }])).toThrow('folder: has no chat template');
    expect(() => withTemplate('{% if %}')).toThrow(/^folder: its chat template says: /);
    const refusing = withTemplate("{{ raise_exception('roles must alternate') }}");
    expect(() => refusing.render([], without)).toThrow(
      new InputError('folder: its chat template says: roles must alternate'),
    );
  });
});
