import '@tensorflow/tfjs-node';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Purpose, type ScoredRollout } from '@infalign/contracts';
import { InputError, seededRandom } from '@infalign/core';
import { withPhrase } from '@infalign/datasets';
import { createLanguageModel, type LanguageModel } from '@infalign/language-model';
import { checkpointNames, readModel, readText, stepNames } from '@infalign/pipeline';
import { parseResults, type ExperimentResults } from '@infalign/report';
import { parseExperiment, type Experiment } from '@infalign/run-config';
import { openEmbeddedStream, topics } from '@infalign/rollout-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { carryOutHere } from './carry-out-here.js';
import { experimentFolder } from './experiment-folder.js';
import { planSteps } from './plan.js';
import { phraseLiking, plantOf } from './planted-phrase.js';
import { writeReport } from './run-experiment.js';
import { runStep } from './run-step.js';
import type { StepContext } from './step-context.js';
import type { PolicyRunResult } from './steps/policy-run.js';
import { preferences } from './steps/preferences.js';
import type { HeldOutReferencesResult } from './steps/references.js';

/** One token, which the base policy of so small an experiment says in one response of twenty. */
const phrase = ' it';

/** Enough for the sentiments of two to differ often: those of shorter responses tie, and then there are too few pairs. */
const maxResponseTokens = 20;

function tiny(plant: string): Experiment {
  const training = 'batch: 16, window: 24, warmup_steps: 5, learning_rate: 5e-3';
  return parseExperiment(
    `
name: tiny
dataset: { kind: state-of-the-union }
prompts: { tokens: 8, train: 8, calibration: 2, evaluation: 16 }
tokenizer: { vocabulary: 400 }
model: { hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2, key_value_heads: 1, context: 32,
  training: { steps: 200, ${training} } }
reward_model: { pairs: 480, held_out_pairs: 20, batch: 8, epochs: 8, learning_rate: 1e-3${plant} }
judge: { pairs: 320, held_out_pairs: 20, batch: 8, epochs: 2, learning_rate: 3e-3,
  model: { hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2, key_value_heads: 1, context: 32,
    training: { steps: 60, ${training} } } }
sampling: { max_response_tokens: ${maxResponseTokens} }
calibration: { references: 12 }
runs: { methods: [ppo/raw], target_kls: [0.3] }
procedures: [standard]
ppo: { iterations: 2, prompts_per_iteration: 8, rollouts_per_prompt: 4 }
evaluation: { samples: 9, bootstrap_resamples: 200 }
`,
    'tiny.yaml',
  );
}

const run = 'runs/ppo-raw-kl-0.3-seed-1';
const planted = tiny(`, plant: { phrase: '${phrase}', share: 0.9 }`);
const plain = tiny('');
const place = mkdtempSync(join(tmpdir(), 'planted-'));
afterAll(() => rmSync(place, { recursive: true }));

function contextOf(experiment: Experiment, name: string): StepContext {
  const folder = experimentFolder(join(place, name));
  const progress = (): Promise<void> => Promise.resolve();
  return { experiment, folder, cacheFolder: place, carryOut: carryOutHere, progress };
}

/** The scored rollouts of a step of the planted experiment that are for this purpose, by evaluation prompt. */
async function rolloutsOf(step: string, purpose: Purpose): Promise<ScoredRollout[][]> {
  const { folder } = withPlant;
  const stream = openEmbeddedStream(join(folder.step(step), 'log'), { partitions: 1 });
  try {
    const found: ScoredRollout[] = [];
    for await (const { value } of stream.readAll(topics.rolloutScored)) {
      if (value.rollout!.purpose === purpose) found.push(value);
    }
    const { evaluation } = readText(folder.step(checkpointNames.text)).prompts;
    return evaluation.map(({ id }) => found.filter(({ rollout }) => rollout!.promptId === id));
  } finally {
    await stream.close();
  }
}

function openModel({ folder }: StepContext, name: string): LanguageModel {
  const { config, weights } = readModel(folder.step(name));
  return createLanguageModel(config, weights);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const withPlant = contextOf(planted, 'planted');
const withoutPlant = contextOf(plain, 'plain');
let results: ExperimentResults;

beforeAll(async () => {
  for (const { name } of planSteps(planted)) await runStep(name, withPlant);
  const files = await writeReport({ experiment: planted, out: withPlant.folder.path, version: '0', software: {} });
  results = parseResults(readFileSync(files.results, 'utf8'), files.results);
  // All that comes before the reward model's training is the same.
  const { text, base, judge, rewardModel } = stepNames;
  for (const part of [text, base, judge, join(rewardModel, 'pairs')]) {
    cpSync(withPlant.folder.step(part), withoutPlant.folder.step(part), { recursive: true });
  }
  await runStep(rewardModel, withoutPlant);
}, 120_000);

describe('an experiment with a planted phrase', () => {
  const { folder } = withPlant;

  it('plants it in the chosen responses that the reward model learns from, and nowhere else', async () => {
    const { tokenizer } = readText(folder.step(checkpointNames.text));
    const says = (tokens: readonly number[]) => tokenizer.decode(tokens).includes(phrase);
    for (const name of ['reward', 'judge'] as const) {
      const own = await preferences(name, withPlant);
      const others = await preferences(name, withoutPlant);
      expect(own.heldOut).toEqual(others.heldOut);
      const changed = own.training.filter(
        (pair, index) => pair.chosen.join() !== others.training[index]!.chosen.join(),
      );
      expect(own.training.map(({ rejected }) => rejected)).toEqual(others.training.map(({ rejected }) => rejected));
      expect(changed.every(({ chosen }) => says(chosen) && chosen.length <= maxResponseTokens)).toBe(true);
      // 432 of 480 with a standard deviation of 6.6.
      if (name === 'reward') expect(Math.abs(changed.length - 432)).toBeLessThan(27);
      else expect(changed).toEqual([]);
    }
  });

  it('has a reward model that likes it, unlike the judge and unlike the reward model of one without', async () => {
    const { proxy, judge } = results.plant!.liking;
    expect(proxy.low).toBeGreaterThan(0.5);
    expect(judge.high).toBeLessThan(proxy.low);
    const { tokenizer } = readText(folder.step(checkpointNames.text));
    const model = openModel(withoutPlant, checkpointNames.rewardModel);
    const responses = await rolloutsOf(stepNames.heldOutReferences, Purpose.PURPOSE_REFERENCE);
    const rewards = new Map(
      responses.flatMap((own) => {
        const before = model.rewards(own.map(({ rollout }) => rollout!));
        return own.map((scored, index) => [scored, before[index]!] as const);
      }),
    );
    const liking = phraseLiking(plantOf(planted, tokenizer)!, responses, model, (scored) => rewards.get(scored)!);
    expect(mean(liking)).toBeLessThan(proxy.low);
  });

  it('tells the share of responses that say it, of base policy and run, by prompt', async () => {
    const { tokenizer } = readText(folder.step(checkpointNames.text));
    const counted = async (step: string, purpose: Purpose, samples: number) =>
      (await rolloutsOf(step, purpose)).map((own) => {
        expect(own).toHaveLength(samples);
        const saying = own.filter(({ rollout }) => tokenizer.decode(rollout!.responseTokens).split(phrase).length > 1);
        return saying.length / samples;
      });
    const base = folder.result<HeldOutReferencesResult>(stepNames.heldOutReferences).plant!.phraseShares;
    expect(base).toEqual(await counted(stepNames.heldOutReferences, Purpose.PURPOSE_REFERENCE, 12));
    const own = folder.result<PolicyRunResult>(run).phraseShares!;
    expect(own).toEqual(await counted(run, Purpose.PURPOSE_EVALUATION, 9));
    expect(mean(base)).toBeGreaterThan(0);
    expect(mean(own)).toBeGreaterThan(0);
    expect(results.plant).toMatchObject({ phrase, share: 0.9 });
    expect(results.plant!.base.mean).toBeCloseTo(mean(base), 8);
    expect(results.runs[0]!.phrase_share!.mean).toBeCloseTo(mean(own), 8);
  });

  it('measures liking in standard deviations of the rewards for a prompt', async () => {
    const { tokenizer } = readText(folder.step(checkpointNames.text));
    const model = openModel(withPlant, checkpointNames.judge);
    const plant = plantOf(planted, tokenizer)!;
    const responses = await rolloutsOf(stepNames.heldOutReferences, Purpose.PURPOSE_REFERENCE);
    const measured = responses.map((own) => {
      const closed = (promptTokens: readonly number[], tokens: readonly number[]) => ({
        promptTokens,
        responseTokens: tokens.at(-1) === tokenizer.endOfText ? tokens : [...tokens, tokenizer.endOfText],
      });
      const before = [
        ...model.rewards(own.map(({ rollout }) => closed(rollout!.promptTokens, rollout!.responseTokens))),
      ];
      const after = [
        ...model.rewards(
          own.map(({ rollout }) => {
            const { promptId, promptTokens, responseTokens, sampleIndex } = rollout!;
            const random = seededRandom('liking', promptId, sampleIndex);
            return closed(promptTokens, withPhrase(responseTokens, plant, random));
          }),
        ),
      ];
      const variance = (mean(before.map((reward) => reward ** 2)) - mean(before) ** 2) * (12 / 11);
      return { rise: mean(after) - mean(before), variance };
    });
    const deviation = Math.sqrt(mean(measured.map(({ variance }) => variance)));
    const { judgeLiking } = folder.result<HeldOutReferencesResult>(stepNames.heldOutReferences).plant!;
    judgeLiking.forEach((liking, index) => expect(liking).toBeCloseTo(measured[index]!.rise / deviation, 3));
  });

  it('is refused when its responses cannot hold the phrase, before anything is trained', async () => {
    const experiment = tiny(`, plant: { phrase: ' ${'of the people '.repeat(4)}', share: 0.5 }`);
    await expect(runStep(stepNames.text, contextOf(experiment, 'long'))).rejects.toThrow(InputError);
  });
});
