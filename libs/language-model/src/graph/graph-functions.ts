import { compile, Graph, type GraphFunction, type GraphTensor } from '@infalign/tensor-graph';
import { hasLanguageModelHead, type LanguageModelConfig } from '../definition.js';
import { byKind } from './by-kind.js';
import { growFunction, moveFunction, prefillFunction } from './decoding-graph.js';
import { modelGraph } from './heads.js';
import { weightInputs, type StackedWeight } from './layout.js';
import { stepFunction, type StepKind, type StepOutput } from './step-graph.js';

/** Outputs of the graph that scores. */
export type Scores = 'logProbs' | 'logDistributions' | 'divergence' | 'values' | 'rewards';

/** The graphs that models of one configuration are executed by, each compiled when it is first asked for. */
export interface GraphFunctions {
  /** Scores a `SharedBatch`. @param whole whether its sequences stand whole */
  scoring(whole: boolean): GraphFunction<Scores>;
  /** Sampling where rows share prompts, and where every row has a prompt of its own. */
  readonly sharedPrefill: GraphFunction<'probabilities'>;
  readonly prefill: GraphFunction<'probabilities'>;
  step(kind: StepKind): GraphFunction<StepOutput>;
  readonly move: GraphFunction<'done'>;
  readonly grow: GraphFunction<'done'>;
}

/**
 * By configuration. Weights are inputs of the graphs, so models share them; they are kept while the process lives, because a
 * sampler holds one version of a policy after another, and compiling takes longer than many a batch.
 */
const compiled = new Map<string, GraphFunctions>();

/** The graphs of a configuration and the weights that a model of it has. */
export function graphFunctions(config: LanguageModelConfig, stacks: readonly StackedWeight[]): GraphFunctions {
  const key = JSON.stringify([config, stacks.map(({ name }) => name)]);
  let functions = compiled.get(key);
  if (!functions) compiled.set(key, (functions = createFunctions(config, stacks)));
  return functions;
}

function createFunctions(config: LanguageModelConfig, stacks: readonly StackedWeight[]): GraphFunctions {
  const made: { -readonly [Name in keyof GraphFunctions]?: GraphFunctions[Name] } = {};
  const scoring = byKind((whole: boolean) => scoringFunction(config, stacks, whole));
  const steps = byKind((kind: StepKind) => stepFunction(config, stacks, kind));
  return {
    scoring: (whole) => scoring.of(whole),
    get sharedPrefill() {
      return (made.sharedPrefill ??= prefillFunction(config, stacks, 'prompt'));
    },
    get prefill() {
      return (made.prefill ??= prefillFunction(config, stacks, 'response'));
    },
    step: (kind) => steps.of(kind),
    get move() {
      return (made.move ??= moveFunction(config));
    },
    get grow() {
      return (made.grow ??= growFunction(config));
    },
  };
}

function scoringFunction(
  config: LanguageModelConfig,
  stacks: readonly StackedWeight[],
  whole: boolean,
): GraphFunction<Scores> {
  const graph = new Graph();
  const model = modelGraph(graph, config, weightInputs(graph, stacks), { whole, recompute: false });
  const has = (name: string): boolean => stacks.some((stack) => stack.name === name);
  const outputs: Partial<Record<Scores, GraphTensor>> = {
    ...(has('score.weight') ? { rewards: model.rewards() } : {}),
    ...(has('value_head.weight') ? { values: model.values() } : {}),
    ...(hasLanguageModelHead(config, has)
      ? {
          logProbs: model.logProbs(),
          logDistributions: model.logDistributions(),
          divergence: model.divergence(),
        }
      : {}),
  };
  return compile(graph, outputs as Record<Scores, GraphTensor>);
}
