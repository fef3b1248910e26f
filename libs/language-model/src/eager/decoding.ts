import * as tf from '@tensorflow/tfjs-core';
import { seededRandom } from '@infalign/core';
import { headSize, type LanguageModelConfig } from '../definition.js';
import type { SampledResponse, SampleRequest, SamplingSettings } from '../language-model.js';
import { drawToken } from '../token-choice.js';
import {
  byHead,
  causalMask,
  finalNorm,
  groupedQueries,
  layer,
  outputProjection,
  rotationsAt,
  ungrouped,
  type RotaryTables,
  type WeightTensor,
} from './transformer.js';
import { attention } from './operations.js';

interface Cache {
  readonly keys: tf.Tensor4D;
  readonly values: tf.Tensor4D;
}

/**
 * Samples responses for prompts, each prompt `samples` times.
 *
 * The keys and values of a prompt are computed and kept once, whatever the number of samples: its rows attend to them as
 * one matrix of queries. Only the responses' keys and values are kept by row; they grow by one position a step.
 *
 * @param requests prompts × samples of them, the samples of a prompt one after another, all prompts of their own length
 */
export function decode(
  config: LanguageModelConfig,
  weight: WeightTensor,
  tables: RotaryTables,
  requests: readonly SampleRequest[],
  samples: number,
  settings: SamplingSettings,
): SampledResponse[] {
  const prompts = requests.filter((_, row) => row % samples === 0).map((request) => request.promptTokens);
  const promptTime = prompts.reduce((longest, prompt) => Math.max(longest, prompt.length), 0);
  const rows = requests.map(({ promptTokens, randomSeed }) => {
    const most = Math.min(settings.maxResponseTokens, config.maxPositions - promptTokens.length);
    return {
      random: seededRandom(...randomSeed),
      tokens: new Int32Array(most),
      logProbs: new Float32Array(most),
      length: 0,
      ended: false,
    };
  });
  const isDone = ({ ended, length, tokens }: (typeof rows)[number]): boolean => ended || length === tokens.length;

  /** Draws the next token of every row that is not done, from states of which row i is `rowOf(i)`; disposes of these. */
  const draw = (hidden: tf.Tensor2D, rowOf: (row: number) => number): Int32Array => {
    const distribution = tf.tidy(() => {
      const scaled: tf.Tensor2D = tf.div(finalNorm(config, weight, hidden), settings.temperature);
      return tf.softmax(tf.matMul(scaled, outputProjection(config, weight), false, true));
    });
    // Read outside of the scope: tidy would look for tensors in every element of an array that it returns.
    const probabilities = distribution.dataSync<'float32'>();
    distribution.dispose();
    hidden.dispose();
    return Int32Array.from(rows, (row, index) => {
      if (isDone(row)) return config.eosTokenId;
      const start = rowOf(index) * config.vocabSize;
      const token = drawToken(probabilities, start, config.vocabSize, settings, row.random);
      row.tokens[row.length] = token;
      row.logProbs[row.length++] = Math.log(probabilities[start + token]!);
      row.ended = token === config.eosTokenId;
      return token;
    });
  };

  const promptCaches: Cache[] = [];
  const promptLengths = Int32Array.from(prompts, (prompt) => prompt.length);
  const padding = promptPadding(promptLengths, promptTime);
  let responseCaches: readonly Cache[] = [];
  try {
    const lastHidden = tf.tidy(() => prefill(config, weight, tables, prompts, promptTime, padding, promptCaches));
    let tokens = draw(lastHidden, (row) => Math.floor(row / samples));
    for (let step = 1; !rows.every(isDone); step++) {
      const grown: Cache[] = [];
      const hidden = tf.tidy(() => {
        // Rows that are done go on unread, at the model's last position at most.
        const positions = Int32Array.from(
          rows,
          (_, row) => Math.min(promptLengths[Math.floor(row / samples)]! + step, config.maxPositions) - 1,
        );
        const rotations = rotationsAt(tables, tf.tensor1d(positions, 'int32'));
        let x = tf.gather(weight('model.embed_tokens.weight') as tf.Tensor2D, tf.tensor1d(tokens, 'int32'));
        promptCaches.forEach((prompt, index) => {
          x = layer(config, weight, index, x, rotations, ({ query, key, value }) => {
            const before = responseCaches[index];
            const newKeys = byHead(key, rows.length);
            const newValues = byHead(value, rows.length);
            const cache = {
              keys: tf.keep(before ? tf.concat([before.keys, newKeys], 2) : tf.clone(newKeys)),
              values: tf.keep(before ? tf.concat([before.values, newValues], 2) : tf.clone(newValues)),
            };
            grown.push(cache);
            return sharedPromptAttention(config, query, prompt, cache, padding, samples);
          });
        });
        return x;
      });
      disposeCaches(responseCaches);
      responseCaches = grown;
      tokens = draw(hidden, (row) => row);
    }
  } finally {
    disposeCaches(responseCaches);
    disposeCaches(promptCaches);
    padding?.dispose();
  }
  return rows.map(({ tokens, logProbs, length, ended }) => ({
    responseTokens: tokens.slice(0, length),
    logProbs: logProbs.slice(0, length),
    ended,
  }));
}

/** Runs the prompts, padded on the left; leaves their keys and values. @returns the state at their last tokens, [prompts, d] */
function prefill(
  config: LanguageModelConfig,
  weight: WeightTensor,
  tables: RotaryTables,
  prompts: readonly ArrayLike<number>[],
  time: number,
  padding: tf.Tensor4D | undefined,
  caches: Cache[],
): tf.Tensor2D {
  const tokens = new Int32Array(prompts.length * time);
  const positions = new Int32Array(prompts.length * time);
  prompts.forEach((prompt, row) => {
    const offset = row * time + time - prompt.length;
    tokens.set(prompt, offset);
    for (let index = 0; index < prompt.length; index++) positions[offset + index] = index;
  });
  const rotations = rotationsAt(tables, tf.tensor1d(positions, 'int32'));
  const causal = causalMask(config, time);
  const mask = padding ? tf.add(causal, padding) : causal;
  let x = tf.gather(weight('model.embed_tokens.weight') as tf.Tensor2D, tf.tensor1d(tokens, 'int32'));
  for (let index = 0; index < config.layers; index++) {
    x = layer(config, weight, index, x, rotations, ({ query, key, value }) => {
      const cache = { keys: tf.keep(byHead(key, prompts.length)), values: tf.keep(byHead(value, prompts.length)) };
      caches.push(cache);
      return ungrouped(
        config,
        attention(groupedQueries(config, query, prompts.length), cache.keys, cache.values, mask),
      );
    });
  }
  return tf.gather(x, tf.range(time - 1, prompts.length * time, time, 'int32'));
}

/** −1e9 where a prompt is padded on the left, shape [prompts, 1, 1, time]; undefined where none is. */
function promptPadding(lengths: Int32Array, time: number): tf.Tensor4D | undefined {
  if (lengths.every((length) => length === time)) return undefined;
  const mask = new Float32Array(lengths.length * time);
  lengths.forEach((length, row) => mask.fill(-1e9, row * time, row * time + time - length));
  return tf.tensor4d(mask, [lengths.length, 1, 1, time]);
}

/**
 * Attention of one new position a row over its prompt and over its own response: one softmax over both.
 *
 * @param query shape [rows, heads, e]
 * @returns shape [rows, d]
 */
function sharedPromptAttention(
  config: LanguageModelConfig,
  query: tf.Tensor3D,
  prompt: Cache,
  response: Cache,
  padding: tf.Tensor4D | undefined,
  samples: number,
): tf.Tensor2D {
  const rows = query.shape[0];
  const prompts = rows / samples;
  const [width, keyValueHeads] = [headSize(config), config.keyValueHeads];
  const group = config.heads / keyValueHeads;
  const promptTime = prompt.keys.shape[2];
  const responseTime = response.keys.shape[2];

  // By prompt: [prompts, keyValueHeads, samples·group, e], so that a prompt's keys meet all its rows' queries at once.
  const toPrompts = (x: tf.Tensor, last: number): tf.Tensor4D =>
    tf.reshape(tf.transpose(tf.reshape(x, [prompts, samples, keyValueHeads, group * last]), [0, 2, 1, 3]), [
      prompts,
      keyValueHeads,
      samples * group,
      last,
    ]);
  const toRows = (x: tf.Tensor, last: number): tf.Tensor4D =>
    tf.reshape(tf.transpose(tf.reshape(x, [prompts, keyValueHeads, samples, group * last]), [0, 2, 1, 3]), [
      rows,
      keyValueHeads,
      group,
      last,
    ]);

  const promptScores = tf.matMul(toPrompts(query, width), prompt.keys, false, true);
  const masked = padding ? tf.add(promptScores, padding) : promptScores;
  const responseScores = tf.matMul(tf.reshape(query, [rows, keyValueHeads, group, width]), response.keys, false, true);
  const probabilities = tf.softmax(tf.concat([toRows(masked, promptTime), responseScores], 3));
  const [overPrompt, overResponse] = tf.split(probabilities, [promptTime, responseTime], 3) as [
    tf.Tensor4D,
    tf.Tensor4D,
  ];
  const fromPrompt = toRows(tf.matMul(toPrompts(overPrompt, promptTime), prompt.values), width);
  const fromResponse = tf.matMul(overResponse, response.values);
  return tf.reshape(tf.add(fromPrompt, fromResponse), [rows, config.hiddenSize]);
}

function disposeCaches(caches: readonly Cache[]): void {
  for (const { keys, values } of caches) {
    keys.dispose();
    values.dispose();
  }
}
