import {
  CalibratorServiceService,
  EvaluatorServiceService,
  PolicySamplerServiceService,
  PpoLearnerServiceService,
  RewardScorerServiceService,
  type EvaluationResult,
  type LearningStatistics,
} from '@infalign/contracts';
import { runIdOf, stepNames } from '@infalign/pipeline';
import { parseExperiment } from '@infalign/run-config';
import { createRpcClient, type RpcClient, type RpcClientOptions } from '@infalign/rpc';
import { checkpoints, experimentText, policyStep } from './tiny-store.fixture.js';
import { serviceTitles, type RunningProgram, type ServiceTitle } from './workplace.fixture.js';

/** A client of each service. */
export interface Clients {
  readonly sampler: RpcClient<typeof PolicySamplerServiceService>;
  readonly scorer: RpcClient<typeof RewardScorerServiceService>;
  readonly calibrator: RpcClient<typeof CalibratorServiceService>;
  readonly learner: RpcClient<typeof PpoLearnerServiceService>;
  readonly evaluator: RpcClient<typeof EvaluatorServiceService>;
  close(): void;
}

/** Clients of services that listen. */
export async function clientsOf(
  programs: Readonly<Record<ServiceTitle, RunningProgram>>,
  options: Omit<RpcClientOptions, 'address'> = {},
): Promise<Clients> {
  const addresses = await Promise.all(serviceTitles.map((title) => programs[title].address));
  const [sampler, scorer, calibrator, learner, evaluator] = addresses.map((address) => ({ ...options, address }));
  const clients = {
    sampler: createRpcClient(PolicySamplerServiceService, sampler!),
    scorer: createRpcClient(RewardScorerServiceService, scorer!),
    calibrator: createRpcClient(CalibratorServiceService, calibrator!),
    learner: createRpcClient(PpoLearnerServiceService, learner!),
    evaluator: createRpcClient(EvaluatorServiceService, evaluator!),
  };
  return { ...clients, close: () => Object.values(clients).forEach((client) => client.close()) };
}

/** An experiment that has been begun: the ids of its runs. */
export interface Begun {
  /** The run that samples its references. */
  readonly references: string;
  /** The run that trains its policy. */
  readonly policy: string;
}

/** The request that starts a step of a tiny experiment. */
export function startRequest(name: string, iterations: number, step: string) {
  const experiment = experimentText(name, iterations);
  return { runId: runIdOf(parseExperiment(experiment, name), step), experiment, step, checkpoints };
}

/** Starts the runs of a tiny experiment. */
export async function begin({ learner }: Pick<Clients, 'learner'>, name: string, iterations: number): Promise<Begun> {
  const start = async (step: string): Promise<string> => {
    const request = startRequest(name, iterations, step);
    await learner.startRun(request);
    return request.runId;
  };
  return { references: await start(stepNames.trainingReferences), policy: await start(policyStep) };
}

/** What an iterable gives, to its end. */
export async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The statistics of all iterations of a run, when it has ended. */
export async function watched({ learner }: Pick<Clients, 'learner'>, runId: string): Promise<LearningStatistics[]> {
  return (await allOf(learner.watchRun({ runId }))).map(({ statistics }) => statistics!);
}

/** What is measured of a policy version, by prompt. */
export async function evaluated(
  { evaluator }: Pick<Clients, 'evaluator'>,
  runId: string,
  policyVersion: number,
): Promise<EvaluationResult[]> {
  const responses = await allOf(evaluator.evaluate({ runId, policyVersion }));
  return responses.map(({ result }) => result!).sort((a, b) => (a.promptId < b.promptId ? -1 : 1));
}
