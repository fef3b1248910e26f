import { Purpose, type Run, type SamplingRequest } from '@infalign/contracts';
import { formatExperiment } from '@infalign/run-config';
import { partitionOf, rolloutId, topics } from '@infalign/rollout-stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyRuns, runIdOf, stepNames } from './experiment-steps.js';
import { pipelineRun, type PipelineRun } from './pipeline-run.js';
import { evaluationRequests, firstRequests, trainingRequests } from './run-requests.js';
import { policyStep, tinyExperiment, tinyPrompts } from './tiny-experiment.fixture.js';

const experiment = tinyExperiment();

function runOf(step: string): PipelineRun {
  const checkpoint = { name: 'checkpoint', contentHash: 'ab' };
  const record: Run = {
    runId: runIdOf(experiment, step),
    experiment: formatExperiment(experiment),
    step,
    checkpoints: '',
    basePolicy: checkpoint,
    rewardModel: checkpoint,
    judge: checkpoint,
    text: checkpoint,
    referenceRunId: '',
    learnFrom: [0],
    scoredFrom: [0],
    evaluatedFrom: [0],
    stopped: false,
    restorations: 0,
  };
  return pipelineRun(record);
}

const policy = runOf(policyStep);

interface Settings {
  readonly train: number;
  readonly promptsPerIteration: number;
  readonly rolloutsPerPrompt: number;
  readonly batchRollouts: number;
  readonly maxStaleness: number;
  readonly iterations: number;
  readonly seed: number;
}

/** The policy's run with other settings. */
function runWith({ train, batchRollouts, seed, ...ppo }: Settings) {
  const { sampling } = experiment;
  const run: PipelineRun = {
    ...policy,
    experiment: {
      ...experiment,
      seed,
      sampling: { ...sampling, batchRollouts },
      ppo: { ...experiment.ppo, ...ppo },
    },
  };
  return { run, prompts: tinyPrompts({ train, reward: 0, judge: 0, calibration: 2, evaluation: 7, accuracy: 0 }) };
}

const settings = fc
  .record({
    train: fc.integer({ min: 1, max: 12 }),
    share: fc.double({ min: 0.01, max: 1, noNaN: true }),
    rolloutsPerPrompt: fc.integer({ min: 1, max: 5 }),
    batchRollouts: fc.integer({ min: 1, max: 20 }),
    maxStaleness: fc.integer({ min: 0, max: 3 }),
    iterations: fc.integer({ min: 1, max: 8 }),
    seed: fc.nat(100),
  })
  .map(({ share, ...rest }): Settings => ({ ...rest, promptsPerIteration: Math.ceil(share * rest.train) }));
const partitionCounts = fc.integer({ min: 1, max: 4 });

/** All that a run asks for, one iteration after another and then for the evaluation. */
function allRequests({ run, prompts }: ReturnType<typeof runWith>, partitions: number): SamplingRequest[][] {
  const { iterations } = run.experiment.ppo;
  return [
    ...Array.from({ length: iterations }, (_, index) => trainingRequests(run, prompts, index + 1, partitions)),
    evaluationRequests(run, prompts, iterations, partitions),
  ];
}

/** What each request asks for, apart from the batch that it is put in. */
function withoutBatches(requests: readonly SamplingRequest[]): SamplingRequest[] {
  return requests.map((request) => ({ ...request, batchId: '', batchRequests: 0 }));
}

/** Batches in the order in which a partition has them: as neighbours stand together. */
function batchesIn(requests: readonly SamplingRequest[]): SamplingRequest[][] {
  const batches: SamplingRequest[][] = [];
  for (const request of requests) {
    const batch = batches.at(-1);
    if (batch?.[0]!.batchId === request.batchId) batch.push(request);
    else batches.push([request]);
  }
  return batches;
}

describe('the requests of a policy’s run', () => {
  it('ask for every prompt once before any comes again, and for none twice in an iteration', () => {
    fc.assert(
      fc.property(settings, (each) => {
        const { run, prompts } = runWith(each);
        const iterations = Array.from({ length: each.iterations }, (_, index) =>
          trainingRequests(run, prompts, index + 1, 1).map(({ promptId }) => promptId),
        );
        for (const asked of iterations) {
          expect(asked).toHaveLength(each.promptsPerIteration);
          expect(new Set(asked).size).toBe(asked.length);
        }
        const all = iterations.flat();
        for (let start = 0; start < all.length; start += each.train) {
          const round = all.slice(start, start + each.train);
          expect(new Set(round).size).toBe(round.length);
        }
      }),
      { seed: 1 },
    );
  });

  it('go round in another order each time, which follows from the seed', () => {
    const order = (seed: number) => {
      const { run, prompts } = runWith({ ...standard, train: 12, promptsPerIteration: 12, seed });
      return [1, 2].map((iteration) => trainingRequests(run, prompts, iteration, 1).map(({ promptId }) => promptId));
    };
    expect(order(1)).toEqual(order(1));
    expect(order(1)[0]).not.toEqual(order(1)[1]);
    expect(order(1)).not.toEqual(order(2));
  });

  it('stand in each partition in whole batches of at most so many rollouts, one after another', () => {
    fc.assert(
      fc.property(settings, partitionCounts, (each, partitions) => {
        const dispatched = allRequests(runWith(each), partitions).flat();
        for (let partition = 0; partition < partitions; partition++) {
          const own = dispatched.filter(
            (request) => partitionOf(topics.samplingRequests, request, partitions) === partition,
          );
          const batches = batchesIn(own);
          for (const batch of batches) {
            expect(batch.map(({ batchRequests }) => batchRequests)).toEqual(batch.map(() => batch.length));
            expect(new Set(batch.map(({ policyVersion, purpose }) => `${policyVersion} ${purpose}`)).size).toBe(1);
            const rollouts = batch.reduce((sum, { samples }) => sum + samples, 0);
            expect(rollouts).toBeLessThanOrEqual(Math.max(each.batchRollouts, batch[0]!.samples));
          }
          expect(new Set(batches.map(([first]) => first!.batchId)).size).toBe(batches.length);
        }
        const places = dispatched.map(
          (request) => `${partitionOf(topics.samplingRequests, request, partitions)} ${request.batchId}`,
        );
        expect(new Set(places).size).toBe(new Set(dispatched.map(({ batchId }) => batchId)).size);
      }),
      { seed: 2 },
    );
  });

  it('have ids of their own, and so have their rollouts', () => {
    fc.assert(
      fc.property(settings, partitionCounts, (each, partitions) => {
        const requests = allRequests(runWith(each), partitions).flat();
        expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(requests.length);
        const rollouts = requests.flatMap((request) =>
          Array.from({ length: request.samples }, (_, index) =>
            rolloutId({ ...request, sampleIndex: request.firstSampleIndex + index }),
          ),
        );
        expect(new Set(rollouts).size).toBe(rollouts.length);
      }),
      { seed: 3 },
    );
  });

  it('are the same, in the same order, over any number of partitions, but for their batches', () => {
    fc.assert(
      fc.property(settings, partitionCounts, (each, partitions) => {
        const one = allRequests(runWith(each), 1).map(withoutBatches);
        expect(allRequests(runWith(each), partitions).map(withoutBatches)).toEqual(one);
        for (const requests of one.flat())
          topics.samplingRequests.codec.encode({ ...requests, batchId: 'a', batchRequests: 1 });
      }),
      { seed: 4, numRuns: 50 },
    );
  });

  it('are filled up to the size of a batch', () => {
    const { run, prompts } = runWith({ ...standard, train: 7, promptsPerIteration: 7, batchRollouts: 10 });
    const batches = batchesIn(trainingRequests(run, prompts, 1, 1));
    expect(batches.map(({ length }) => length)).toEqual([2, 2, 2, 1]);
    expect(batches.map(([first]) => first!.batchId)).toEqual([0, 1, 2, 3].map((batch) => `training-1/0/${batch}`));
  });

  it('begin with as many iterations as staleness allows', () => {
    const { run, prompts } = runWith({ ...standard, maxStaleness: 2 });
    const first = [1, 2, 3].flatMap((iteration) => trainingRequests(run, prompts, iteration, 1));
    expect(firstRequests(run, prompts, 1)).toEqual(first);
    const short = runWith({ ...standard, maxStaleness: 2, iterations: 1 });
    expect(firstRequests(short.run, prompts, 1)).toEqual(trainingRequests(short.run, prompts, 1, 1));
  });
});

const standard: Settings = {
  train: 5,
  promptsPerIteration: 3,
  rolloutsPerPrompt: 4,
  batchRollouts: 8,
  maxStaleness: 0,
  iterations: 4,
  seed: 1,
};

describe('the requests of reference runs', () => {
  const prompts = tinyPrompts({ train: 5, reward: 0, judge: 0, calibration: 3, evaluation: 4, accuracy: 0 });
  const described = (step: string) =>
    firstRequests(runOf(step), prompts, 2).map(
      ({ promptId, purpose, firstSampleIndex, samples, policyVersion }) =>
        `${promptId} ${Purpose[purpose]} ${firstSampleIndex}+${samples} of ${policyVersion}`,
    );

  it('ask for the references of every training prompt', () => {
    expect(described(stepNames.trainingReferences)).toEqual(
      [0, 1, 2, 3, 4].map((index) => `train-${index} PURPOSE_REFERENCE 0+4 of 0`),
    );
  });

  it('ask for references of held-out prompts, and fresh rollouts of calibration prompts under other ids', () => {
    expect(described(stepNames.heldOutReferences)).toEqual([
      ...[0, 1, 2].map((index) => `calibration-${index} PURPOSE_REFERENCE 0+4 of 0`),
      ...[0, 1, 2, 3].map((index) => `evaluation-${index} PURPOSE_REFERENCE 0+4 of 0`),
      ...[0, 1, 2].map((index) => `calibration-${index} PURPOSE_EVALUATION 4+5 of 0`),
    ]);
    const requests = firstRequests(runOf(stepNames.heldOutReferences), prompts, 2);
    expect(new Set(requests.map(({ requestId }) => requestId)).size).toBe(requests.length);
  });

  it('have another seed than policies, which have one each', () => {
    const seeds = [...policyRuns({ ...experiment, runs: { ...experiment.runs, seeds: [1, 2, 3] } })].map(
      (policyRun) => trainingRequests({ ...policy, policyRun }, prompts, 1, 1)[0]!.seed,
    );
    expect(new Set([...seeds, firstRequests(runOf(stepNames.trainingReferences), prompts, 1)[0]!.seed]).size).toBe(4);
  });
});

describe('pipelineRun', () => {
  it('refuses a step that services do not carry out, naming those that they do', () => {
    expect(() => runOf('reward-model')).toThrow(
      'no step reward-model that services can carry out. They are references/training, references/held-out, ' +
        `${policyStep}.`,
    );
  });

  it('refuses a run under another id than that of its experiment and step', () => {
    const { record } = policy;
    expect(() => pipelineRun({ ...record, runId: 'mine' })).toThrow(
      `Run mine: step ${policyStep} of its experiment is run ${record.runId}.`,
    );
  });
});
