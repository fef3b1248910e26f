import '@tensorflow/tfjs-node';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '@infalign/checkpoint';
import { InputError, seededRandom } from '@infalign/core';
import { promptSetNames, type PreferencePair } from '@infalign/datasets';
import { trainTokenizer } from '@infalign/language-model';
import { checkpointNames, startRun, stepNames, storeText, type StoredText } from '@infalign/pipeline';
import { parseExperiment } from '@infalign/run-config';
import { openEmbeddedStream } from '@infalign/rollout-stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { carryOutHere } from './carry-out-here.js';
import type { CarryOut } from './carry-out.js';
import { experimentFolder } from './experiment-folder.js';
import { runStep } from './run-step.js';
import type { StepContext } from './step-context.js';

const model = 'hidden_size: 16, intermediate_size: 24, layers: 1, heads: 2, key_value_heads: 1, context: 16';
const training = 'training: { steps: 12, batch: 4, window: 12, warmup_steps: 2 }';
const experiment = parseExperiment(
  `
name: tiny
dataset: { kind: hh-rlhf }
prompts: { tokens: 3, train: 4, calibration: 2, evaluation: 3 }
tokenizer: { vocabulary: 257 }
model: { ${model}, ${training} }
reward_model: { labels: human, pairs: 16, held_out_pairs: 4, batch: 4 }
judge: { pairs: 16, held_out_pairs: 4, batch: 4, model: { ${model}, ${training} } }
sampling: { max_response_tokens: 4, batch_rollouts: 12 }
calibration: { references: 4 }
runs: { methods: [ppo/identity], target_kls: [0.3] }
procedures: [standard]
ppo: { iterations: 2, prompts_per_iteration: 3, rollouts_per_prompt: 4, learning_rate: 0.01 }
evaluation: { samples: 5 }
`,
  'tiny.yaml',
);
const { base, judgeBase, judge, rewardModel, trainingReferences } = stepNames;

const place = mkdtempSync(join(tmpdir(), 'run-step-'));
afterAll(() => rmSync(place, { recursive: true }));

function contextOf(name: string): StepContext {
  const folder = experimentFolder(join(place, name));
  return { experiment, folder, cacheFolder: place, carryOut: carryOutHere, progress: () => Promise.resolve() };
}

/** Another folder, with the models of the experiment. */
function prepared(name: string): StepContext {
  cpSync(join(place, 'prepared'), join(place, name), { recursive: true });
  return contextOf(name);
}

/** What the step of the text would leave. */
function randomText(): StoredText {
  const random = seededRandom('text');
  const tokens = (count: number) => Array.from({ length: count }, () => 1 + random.integer(20));
  const pairs = (count: number) =>
    Array.from({ length: count }, (_, index): PreferencePair => ({
      promptId: `pair-${index}`,
      promptTokens: tokens(3),
      chosen: tokens(4),
      rejected: tokens(4),
    }));
  const prompts = promptSetNames.map((set) => [
    set,
    Array.from({ length: 4 }, (_, index) => ({ id: `${set}-${index}`, tokens: tokens(3), text: `${set} ${index}` })),
  ]);
  const { calibration, evaluation, ...others } = Object.fromEntries(prompts) as StoredText['prompts'];
  return {
    tokenizer: trainTokenizer(['nothing to merge'], 257),
    training: Uint16Array.from(tokens(400)),
    heldOut: Uint16Array.from(tokens(100)),
    prompts: { ...others, calibration: calibration.slice(0, 2), evaluation: evaluation.slice(0, 3) },
    humanPairs: { reward: pairs(16), judge: pairs(16), heldOut: pairs(4) },
  };
}

beforeAll(async () => {
  const context = contextOf('prepared');
  storeText(context.folder.step(checkpointNames.text), randomText());
  for (const step of [base, judgeBase, rewardModel, judge]) await runStep(step, context);
}, 240_000);

describe('a step whose run comes to rest before its end', () => {
  it('is not done: what was refused is told, and which folder to delete once it is mended', async () => {
    const context = prepared('damaged');
    const { folder } = context;
    const step = folder.step(trainingReferences);
    const stream = openEmbeddedStream(join(step, 'log'));
    await startRun(stream, openFolderStore(folder.path), { experiment, step: trainingReferences, checkpoints: '' });
    await stream.close();
    const weights = join(folder.step(checkpointNames.rewardModel), 'model.safetensors');
    const bytes = readFileSync(weights);
    writeFileSync(weights, bytes.subarray(1));
    const refusal = runStep(trainingReferences, context);
    await expect(refusal).rejects.toThrow(InputError);
    await expect(refusal).rejects.toThrow(
      new RegExp(`rollout\\.sampled, offset \\d+: .*model\\.safetensors.*damaged.*delete ${step}, then resume`),
    );
    expect(folder.isDone(trainingReferences)).toBe(false);
    writeFileSync(weights, bytes);
    await expect(runStep(trainingReferences, context)).rejects.toThrow(`delete ${step}, then resume`);
    rmSync(step, { recursive: true });
    await runStep(trainingReferences, context);
    expect(folder.isDone(trainingReferences)).toBe(true);
  });

  it('is not done where the records of a prompt are not there', async () => {
    const context = prepared('missing');
    const carryOut: CarryOut = (run, own, collect) =>
      carryOutHere(run, own, (left) => collect({ ...left, record: { ...left.record, runId: 'another' } }));
    await expect(runStep(trainingReferences, { ...context, carryOut })).rejects.toThrow(
      /references\/training: .* no reference distribution of prompt .*Delete this folder/,
    );
    expect(context.folder.isDone(trainingReferences)).toBe(false);
  });
});

describe('a policy run', () => {
  const step = 'runs/ppo-identity-kl-0.3-seed-1';

  it('calibrates with the references that are there, whatever id the experiment had when they were made', async () => {
    const [own, others] = [prepared('own'), prepared('others')];
    await runStep(trainingReferences, own);
    const file = (context: StepContext): string => join(context.folder.step(trainingReferences), 'result.json');
    cpSync(own.folder.step(trainingReferences), others.folder.step(trainingReferences), { recursive: true });
    const named = readFileSync(file(own), 'utf8');
    const renamed = named.replaceAll(/"runId":"tiny-[0-9a-f]+/g, '"runId":"tiny-0123456789ab');
    expect(renamed).not.toBe(named);
    writeFileSync(file(others), renamed);
    for (const context of [own, others]) await runStep(step, context);
    expect(others.folder.result(step)).toEqual(own.folder.result(step));
  });
});

describe('a step that trains', () => {
  /** Another folder, in which time goes by in progress: a checkpoint is due after every step of training. */
  function slow(name: string, onProgress: () => void = () => undefined): StepContext {
    return {
      ...prepared(name),
      progress: () => {
        vi.advanceTimersByTime(16_000);
        onProgress();
        return Promise.resolve();
      },
    };
  }
  /** The files of the training's state, and what was cut off when it was written. */
  const stateOf = ({ folder }: StepContext, step: string): string[] =>
    readdirSync(folder.step(step), { recursive: true, encoding: 'utf8' }).filter((name) =>
      /^\.?state|partial/.test(name),
    );
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  it.each([base, rewardModel])('keeps its state until it is done, and goes on from it: %s', async (step) => {
    const expected = readFileSync(join(prepared(`${step}-straight`).folder.step(step), 'model', 'model.safetensors'));
    let steps = 0;
    const context = slow(`${step}-slow`, () => steps++);
    const { folder } = context;
    rmSync(folder.step(step), { recursive: true });
    const killed = {
      ...folder,
      finish: () => {
        throw new Error('killed');
      },
    };
    await expect(runStep(step, { ...context, folder: killed })).rejects.toThrow('killed');
    expect(steps).toBeGreaterThan(3);
    // One state, and no earlier one.
    expect(stateOf(context, step).filter((name) => name.endsWith('weights.safetensors'))).toHaveLength(1);
    // What a process leaves that is killed while it stores.
    mkdirSync(join(folder.step(step), '.state.1234.partial'));
    writeFileSync(join(folder.step(step), '.state.1234.partial', 'weights.safetensors'), 'x');
    steps = 0;
    await runStep(step, context);
    expect(steps).toBe(0);
    expect(stateOf(context, step)).toEqual([]);
    expect(readFileSync(join(folder.step(step), 'model', 'model.safetensors'))).toEqual(expected);
  });

  it('is not done again by who waits for the one that does it', async () => {
    let steps = 0;
    const progress = (): Promise<void> => Promise.resolve(void steps++);
    const context = { ...prepared('twice'), progress };
    rmSync(context.folder.step(base), { recursive: true });
    await Promise.all([runStep(base, context), runStep(base, context)]);
    expect(steps).toBe(12);
  });

  it('has taken as long as all attempts at it, since the first', async () => {
    let left = 5;
    const context = slow('attempts', () => {
      if (--left === 0) throw new Error('killed');
    });
    const { folder } = context;
    rmSync(folder.step(base), { recursive: true });
    const began = Date.now();
    await expect(runStep(base, context)).rejects.toThrow('killed');
    const first = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await runStep(base, context);
    const { startedAt, seconds, peakMemoryBytes } = folder.times(base);
    expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(began);
    expect(Date.parse(startedAt)).toBeLessThanOrEqual(first);
    // Four steps that were told of before it was killed, and the other eight.
    expect(seconds).toBe(4 * 16 + 8 * 16);
    expect(peakMemoryBytes).toBeGreaterThan(0);
  });
});
