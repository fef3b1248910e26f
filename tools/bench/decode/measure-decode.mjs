import { join } from 'node:path';
import { checkLogProbs } from '../model/agreement.mjs';
import { startOurs } from '../model/ours.mjs';
import { randomTokens } from '../model/random-tokens.mjs';
import { run } from '../../python/environment.mjs';
import { peerEnvironment } from '../peers/environment.mjs';
import { startLlamaCpp } from '../peers/llama-cpp.mjs';
import { startPyTorch } from '../peers/pytorch.mjs';
import { inTurns, rateRow } from '../peers/rounds.mjs';
import { smolLm2 } from '../../python/smollm2.mjs';

const promptTokens = 32;
const newTokens = 64;
const vocabSize = 49_152;
/** `<repo_name>`: after what is not a repository it is practically never drawn. */
const rareToken = 3;

/**
 * @param {{ folder: string, batches: number[], rounds: number, threads: number, tell: (text: string) => void }} options
 *   folder: for models
 */
export async function measureDecode({ folder, batches, rounds, threads, tell }) {
  const python = peerEnvironment('pytorch');
  const quantised = smolLm2(python);
  const dequantised = join(folder, 'dequantised.gguf');
  run(python, [join(import.meta.dirname, '..', 'peers', 'dequantise.py'), quantised, dequantised]);
  const place = join(folder, 'smollm2');

  const ours = await startOurs('tools/bench/model/our-worker.mjs', threads);
  const transformers = await startPyTorch(threads);
  const llama = await startLlamaCpp(threads);
  try {
    await ours.worker.call('convert', { file: quantised, folder: place, eosTokenId: rareToken });
    await ours.worker.call('load', { folder: place });
    await transformers.worker.call('load_generator', { model: 'smollm2', folder: place });
    await llama.worker.call('load', { model: 'dequantised', file: dequantised });
    await llama.worker.call('load', { model: 'quantised', file: quantised });

    const few = { tokens: randomTokens(vocabSize, 4, 48) };
    const difference = checkLogProbs(
      'SmolLM2',
      await ours.worker.call('log_probs', few),
      await transformers.worker.call('log_probs', { model: 'smollm2', ...few }),
    );
    tell(`log-probabilities agree within ${difference.toExponential(1)}`);

    const rows = [];
    for (const batch of batches) {
      const given = { prompts: randomTokens(vocabSize, batch, promptTokens), newTokens };
      const rate = async ({ worker }, command, model) => {
        const { seconds, tokens } = await worker.call(command, { ...given, ...model });
        return tokens / seconds;
      };
      tell(`batch ${batch}, tokens/s`);
      const measured = await inTurns(
        rounds,
        {
          ours: () => rate(ours, 'sample'),
          transformers: () => rate(transformers, 'generate', { model: 'smollm2' }),
          llama: () => rate(llama, 'sample', { model: 'dequantised' }),
          quantisedLlama: () => rate(llama, 'sample', { model: 'quantised' }),
        },
        tell,
      );
      const row = (peer, value) => rateRow(`batch ${batch}`, 'tokens/s', measured.ours, peer, value);
      rows.push(
        row('transformers generate', measured.transformers),
        row('llama.cpp, 16-bit weights', measured.llama),
        row('llama.cpp, 4-bit weights', measured.quantisedLlama),
      );
    }
    return { versions: { ...ours.versions, ...transformers.versions, ...llama.versions }, rows };
  } finally {
    await Promise.all([ours, transformers, llama].map(({ worker }) => worker.stop()));
  }
}
