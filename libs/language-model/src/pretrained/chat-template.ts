import { InputError } from '@infalign/core';
import { Template } from '@huggingface/jinja';
import { splitAtNames } from '../tokenizer-byte-pair.js';
import { parseTokenizer, tokenName } from '../tokenizer-json.js';
import type { Pretrained } from './pretrained-files.js';

/** What one side of a conversation says. */
export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** How a conversation is rendered. */
export interface ChatOptions {
  /** Whether the text ends with what precedes the assistant's next message, for the model to continue. */
  readonly addGenerationPrompt: boolean;
}

/** The form in which a chat model was taught conversations. */
export interface ChatTemplate {
  /**
   * The text of a conversation, as transformers' `apply_chat_template` renders it.
   *
   * @throws InputError if the template refuses the conversation, as some do two messages of one role in a row
   */
  render(messages: readonly ChatMessage[], options: ChatOptions): string;
  /**
   * The tokens of a conversation. Names of special tokens that the template writes become these; in a message they are
   * text, so that no message can end itself or speak as another role.
   *
   * @throws InputError as `render`
   */
  encode(messages: readonly ChatMessage[], options: ChatOptions): Int32Array;
}

/**
 * The chat template of a pretrained model.
 *
 * @param place where the model lies, for messages
 * @throws InputError if it has none, or one that is no template of Jinja
 */
export function chatTemplate(
  { tokenizerJson, tokenizerConfigJson }: Pick<Pretrained, 'tokenizerJson' | 'tokenizerConfigJson'>,
  place: string,
): ChatTemplate {
  const tokenizer = parseTokenizer(tokenizerJson, `${place}, tokenizer.json`, tokenizerConfigJson);
  const config = JSON.parse(tokenizerConfigJson ?? '{}') as Record<string, unknown>;
  const source = templateSource(config.chat_template);
  if (source === undefined)
    throw new InputError(`${place}: has no chat template. Take a model that was taught to chat.`);
  const explained = <Result>(action: () => Result): Result => {
    try {
      return action();
    } catch (error) {
      throw new InputError(
        `${place}: its chat template says: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  };
  const template = explained(() => new Template(source));
  const roles = ['bos_token', 'eos_token', 'pad_token', 'unk_token'].map(
    (key) => [key, tokenName(config[key])] as const,
  );
  // What transformers sets when there are none.
  const constants = {
    ...Object.fromEntries(roles.filter(([, name]) => name !== undefined)),
    tools: null,
    documents: null,
  };
  const render: ChatTemplate['render'] = (messages, { addGenerationPrompt }) =>
    explained(() => template.render({ ...constants, messages, add_generation_prompt: addGenerationPrompt }));

  return {
    render,
    encode(messages, options) {
      // A mark that no message has is put into every name that a message spells, and taken out again when the template's
      // own names have been told apart.
      let mark = unusedCharacter;
      while (messages.some(({ content }) => content.includes(mark))) mark += unusedCharacter;
      const numbers = tokenizer.specialTokens;
      const names = new Map([...numbers].map(([name, token]) => [token, name]));
      const marked = messages.map(({ role, content }) => ({
        role,
        content: splitAtNames(content, numbers)
          .map((part) => (typeof part === 'string' ? part : inserted(names.get(part)!, mark)))
          .join(''),
      }));
      const parts = splitAtNames(render(marked, options), numbers);
      return Int32Array.from(
        parts.flatMap((part) =>
          typeof part === 'number' ? [part] : Array.from(tokenizer.encode(part.replaceAll(mark, ''))),
        ),
      );
    },
  };
}

/** A code point that is no character, and is meant for use within a program. */
const unusedCharacter = '\uFDD0';

function inserted(name: string, mark: string): string {
  return `${name.slice(0, 1)}${mark}${name.slice(1)}`;
}

/** The template itself, or of several the one called default. */
function templateSource(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  const entries = Array.isArray(value) ? (value as readonly (Record<string, unknown> | null)[]) : [];
  const source = entries.find((entry) => entry?.name === 'default')?.template;
  return typeof source === 'string' ? source : undefined;
}
