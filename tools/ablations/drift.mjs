import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CalibrationSource, Purpose } from '@infalign/contracts';
import { identityTransformation } from '@infalign/core';
import { checkpointNames } from '@infalign/pipeline';
import { openEmbeddedStream, outgoing, runToQuiescence, stageWorker, topics } from '@infalign/rollout-stream';
import { calibrationStage } from '@infalign/stage-calibration';
import { distanceFromUniform } from './calibration-error.mjs';
import { heldOutRollouts, rewardsOf } from './held-out-rollouts.mjs';
import { rootMeanSquare } from './interval.mjs';
import { meanSquaredError, trueCalibration } from './true-calibration.mjs';

/**
 * Calibration by a stream of references that go on after something has changed (online), against calibration by those from
 * before alone (offline), which is what the stream has when none has arrived since.
 *
 * Everything goes through the calibrator itself: references of before, then rounds of the same rollouts to be calibrated, with
 * new references between them. The truth is calibration by many fresh rollouts of after.
 *
 * @param {import('./measure.mjs').Ablation} ablation
 */
export async function measureDrift({ finished, settings, heldOut }) {
  const { drift } = settings;
  const { experiment } = finished;
  const before = heldOut.slice(0, drift.prompts).map(({ prompt, references, many, calibrated }) => ({
    prompt,
    before: references.rewards.slice(0, drift.window),
    references: sliced(references, drift.window, drift.window + drift.round * drift.rounds),
    many: sliced(many, 0, drift.manyRollouts),
    calibrated,
  }));
  const judged = before.map((own) => ({
    ...own,
    references: byJudge(finished, own.prompt, own.references),
    many: byJudge(finished, own.prompt, own.many),
    calibrated: byJudge(finished, own.prompt, own.calibrated),
  }));
  const since = (policy) => {
    const rollouts = heldOutRollouts(finished, {
      ...policy,
      prompts: drift.prompts,
      references: drift.round * drift.rounds,
      manyRollouts: drift.manyRollouts,
      calibratedRollouts: settings.calibratedRollouts,
    });
    return rollouts.map((own, index) => ({ ...own, before: before[index].before }));
  };
  const newPrompts = before.map((own) => ({ ...own, before: [] }));
  const others = (await finished.trainingReferences()).map(({ promptId, rewards }) => ({ promptId, rewards }));
  const scenarios = {
    none: { prompts: before },
    'reward-model': { prompts: judged },
    'reward-model-announced': { prompts: judged, modelVersions: ['before', 'since'] },
    temperature: { prompts: since({ temperature: drift.temperature }) },
    'aligned-policy': { prompts: since({ policy: finished.alignedPolicy }) },
    'new-prompts-hold': { prompts: newPrompts, others, newPrompts: 'hold' },
    'new-prompts-pool': { prompts: newPrompts, others, newPrompts: 'pool' },
  };
  const results = [];
  for (const [scenario, of] of Object.entries(scenarios)) {
    results.push({ scenario, ...(await measureScenario(scenario, of, drift, experiment)) });
  }
  return {
    prompts: before.length,
    window: drift.window,
    references_per_round: drift.round,
    minimum_references: drift.round,
    false_alarm_rate: experiment.calibration.driftFalseAlarmRate,
    many_rollouts_per_prompt: drift.manyRollouts,
    calibrated_rollouts_per_prompt: settings.calibratedRollouts,
    temperature: drift.temperature,
    aligned_policy: finished.alignedRun.name,
    scenarios: results,
  };
}

function sliced({ responses, rewards }, from, to) {
  return { responses: responses.slice(from, to), rewards: rewards.slice(from, to) };
}

function byJudge(finished, prompt, { responses }) {
  return { responses, rewards: rewardsOf(finished, checkpointNames.judge, prompt, responses) };
}

/**
 * By references since the change: a row of what the calibrator has made of the rollouts then; and how far from uniform the truth is,
 * by chance, of so many rollouts.
 */
async function measureScenario(scenario, of, drift, experiment) {
  const truths = new Map(
    of.prompts.map(({ prompt, many, calibrated }) => [prompt.id, trueCalibration(calibrated.rewards, many.rewards)]),
  );
  const { calibrated, events } = await calibratedByStream(of, drift, experiment);
  const count = of.prompts.length;
  const rows = Array.from({ length: drift.rounds + 1 }, (_, round) => {
    const own = calibrated.filter((one) => one.round === round);
    const byPrompt = of.prompts.flatMap(({ prompt }) => {
      const estimates = own.filter(({ promptId }) => promptId === prompt.id).sort((a, b) => a.index - b.index);
      return estimates.length > 0 ? [{ prompt, estimates: estimates.map(({ value }) => value) }] : [];
    });
    return {
      references_since: round * drift.round,
      calibrated: own.length / [...truths.values()].reduce((sum, { length }) => sum + length, 0),
      pooled: own.length > 0 ? own.filter(({ pooled }) => pooled).length / own.length : 0,
      alarmed: new Set(events.filter((one) => one.round <= round).map(({ promptId }) => promptId)).size / count,
      error:
        byPrompt.length === 0
          ? null
          : rootMeanSquare(
              byPrompt.map(({ prompt, estimates }) => meanSquaredError(estimates, truths.get(prompt.id))),
              `${experiment.seed}/drift/${scenario}/${round}`,
            ),
      kolmogorov_smirnov:
        byPrompt.length === 0 ? null : distanceFromUniform(byPrompt.map(({ estimates }) => estimates)),
    };
  });
  const truth = [...truths.values()].map((own) => own.map(({ value }) => value));
  return { kolmogorov_smirnov_of_many: distanceFromUniform(truth), rows };
}

const runId = 'drift';

/**
 * Runs the calibrator over a stream of its own.
 *
 * @returns what was calibrated at once, in the round in which it came, and the drifts that were found, by the round of theirs
 */
async function calibratedByStream({ prompts, others = [], modelVersions, newPrompts = 'hold' }, drift, experiment) {
  const [versionBefore, versionSince] = modelVersions ?? ['the same', 'the same'];
  const records = [
    ...references('others', versionBefore, others),
    ...references(
      'before',
      versionBefore,
      prompts.map(({ prompt, before }) => ({ promptId: prompt.id, rewards: before })),
    ),
  ];
  for (let round = 0; round <= drift.rounds; round++) {
    if (round > 0) {
      const arrived = prompts.map(({ prompt, references }) => ({
        promptId: prompt.id,
        rewards: references.rewards.slice((round - 1) * drift.round, round * drift.round),
      }));
      records.push(...references(`since-${round}`, versionSince, arrived));
    }
    for (const { prompt, calibrated } of prompts) {
      calibrated.rewards.forEach((reward, index) => {
        const rolloutId = `${prompt.id}/${round}/${index}`;
        const batch = { batchId: rolloutId, batchRollouts: 1 };
        const training = { purpose: Purpose.PURPOSE_TRAINING, rolloutId, sampleIndex: index, seed: round, ...batch };
        records.push(scored(prompt.id, reward, versionSince, training));
      });
    }
  }
  const folder = mkdtempSync(join(tmpdir(), 'infalign-ablations-'));
  const stream = openEmbeddedStream(folder);
  try {
    await stream.append(records.map((record) => outgoing(topics.rolloutScored, record)));
    const run = {
      references: { window: drift.window, driftFalseAlarmRate: experiment.calibration.driftFalseAlarmRate },
      training: {
        referenceRunId: runId,
        transformation: identityTransformation,
        corrected: false,
        minimumReferences: drift.round,
        newPrompts,
      },
    };
    const stage = calibrationStage({ stream, run: () => Promise.resolve(run), maxBatchRecords: 4096 });
    const worker = await stageWorker(stream, stage);
    try {
      await runToQuiescence([worker]);
    } finally {
      await worker.close();
    }
    return await outcome(stream, prompts);
  } finally {
    await stream.close();
    rmSync(folder, { recursive: true });
  }
}

async function outcome(stream, prompts) {
  const versionsBefore = new Map(prompts.map(({ prompt, before }) => [prompt.id, before.length > 0 ? 1 : 0]));
  const calibrated = [];
  for await (const { value } of stream.readAll(topics.rolloutCalibrated)) {
    const { promptId, sampleIndex: index, seed: round } = value.scored.rollout;
    const pooled = value.source === CalibrationSource.CALIBRATION_SOURCE_POOLED;
    // A later version: it was held until then.
    if (!pooled && value.calibrationVersion > versionsBefore.get(promptId) + round) continue;
    calibrated.push({ promptId, index, round, pooled, value: value.calibratedReward });
  }
  const events = [];
  for await (const { value } of stream.readAll(topics.calibrationEvents)) {
    if (!value.drift) continue;
    events.push({ promptId: value.promptId, round: value.calibrationVersion - versionsBefore.get(value.promptId) });
  }
  return { calibrated, events };
}

/** References of several prompts that arrive together. */
function references(batchId, modelVersion, arrived) {
  const batchRollouts = arrived.reduce((sum, { rewards }) => sum + rewards.length, 0);
  return arrived.flatMap(({ promptId, rewards }) =>
    rewards.map((reward, index) =>
      scored(promptId, reward, modelVersion, {
        purpose: Purpose.PURPOSE_REFERENCE,
        rolloutId: `${promptId}/${batchId}/${index}`,
        sampleIndex: index,
        seed: 0,
        batchId,
        batchRollouts,
      }),
    ),
  );
}

/** A scored rollout, of which the calibrator looks at prompt, purpose, batch and reward alone. */
function scored(promptId, reward, modelVersion, own) {
  return {
    rollout: {
      runId,
      promptId,
      policyVersion: 0,
      promptTokens: [0],
      responseTokens: [0],
      logProbs: [0],
      ended: true,
      temperature: 1,
      ...own,
    },
    reward: { model: 'reward-model', modelVersion, reward },
    judge: undefined,
  };
}
