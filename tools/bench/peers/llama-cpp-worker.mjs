// llama.cpp's side of the benchmarks: carries out commands, one JSON object a line, and answers each with one line.
//
//   node llama-cpp-worker.mjs ENTRY    (of the package node-llama-cpp)
import { pathToFileURL } from 'node:url';
import { serve } from './serve.mjs';

const { getLlama } = await import(pathToFileURL(process.argv[2]).href);
const models = new Map();
let llama;
let threads;

const commands = {
  async start(given) {
    threads = given.threads;
    llama = await getLlama({ gpu: false, build: 'never', maxThreads: threads, logLevel: 'error' });
    return { llama_cpp: llama.llamaCppRelease.release };
  },

  async load({ model, file }) {
    models.set(model, { weights: await llama.loadModel({ modelPath: file }), contexts: new Map() });
  },

  /** One response a prompt, at temperature 1, all in the same batches. Room for them is made before the clock starts. */
  async sample({ model, prompts, newTokens }) {
    const loaded = models.get(model);
    const sequences = await sequencesFor(loaded, prompts.length, prompts[0].length + newTokens);
    const settings = { temperature: 1, topK: 0, topP: 1, minP: 0, yieldEogToken: true };
    const start = performance.now();
    const counts = await Promise.all(
      prompts.map(async (prompt, index) => {
        let count = 0;
        for await (const _ of sequences[index].evaluate(prompt, settings)) if (++count === newTokens) break;
        return count;
      }),
    );
    const seconds = (performance.now() - start) / 1000;
    return { seconds, tokens: counts.reduce((sum, count) => sum + count, 0) };
  },
};

async function sequencesFor({ weights, contexts }, count, contextSize) {
  if (!contexts.has(count)) {
    const context = await weights.createContext({ sequences: count, contextSize, threads });
    contexts.set(
      count,
      Array.from({ length: count }, () => context.getSequence()),
    );
  }
  const sequences = contexts.get(count);
  for (const sequence of sequences) await sequence.clearHistory();
  return sequences;
}

await serve(commands);
