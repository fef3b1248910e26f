import type { SampleRequest } from '../language-model.js';
import { promptKey } from '../token-sequences.js';

/** A prompt whose responses are being sampled. */
export interface Group {
  readonly prompt: ArrayLike<number>;
  /** Requests that have not begun, the next one last. */
  readonly waiting: number[];
  /** Where its keys and values are kept; undefined before they are computed. */
  slot: number | undefined;
  /** Probabilities of the first token of its responses. */
  first: Float32Array;
  /** Rows that it has. */
  rows: number;
}

/** Requests by prompt, prompts in the order in which they are met. */
export function groupsOf(requests: readonly SampleRequest[]): Group[] {
  const groups = new Map<string, Group>();
  requests.forEach(({ promptTokens }, request) => {
    const key = promptKey(promptTokens);
    let group = groups.get(key);
    if (!group) {
      group = { prompt: promptTokens, waiting: [], slot: undefined, first: new Float32Array(0), rows: 0 };
      groups.set(key, group);
    }
    group.waiting.push(request);
  });
  for (const { waiting } of groups.values()) waiting.reverse();
  return [...groups.values()];
}

/** Cuts the requests of groups into parts of about one size: a prompt whose requests are cut is computed in both. */
export function inParts(groups: readonly Group[], count: number): Group[][] {
  const total = groups.reduce((sum, { waiting }) => sum + waiting.length, 0);
  const parts: Group[][] = Array.from({ length: Math.min(count, total) }, () => []);
  let before = 0;
  for (const group of groups) {
    // The next request is the last one waiting.
    for (let { waiting } = group; waiting.length > 0;) {
      const part = Math.floor((before * parts.length) / total);
      const room = Math.ceil(((part + 1) * total) / parts.length) - before;
      parts[part]!.push({ ...group, waiting: waiting.slice(-room) });
      before += Math.min(room, waiting.length);
      waiting = waiting.slice(0, -room);
    }
  }
  return parts;
}
