import { bracketedRoot } from './bracketed-root.js';
import { betaForKl, optimalTransformation, type Strength } from './frontier.js';
import { InputError } from './input-error.js';
import { parseTransformation } from './parse-transformation.js';
import { parseProcedure } from './procedure.js';
import { identityTransformation, normalisedBeta, type Transformation } from './transformation.js';

/**
 * The algorithms that a policy can be trained by: whose rollouts each learns from, and whether it takes rewards, or only looks
 * at which of a prompt's rollouts is better, which calibration does not change.
 */
export const algorithms = {
  /** Proximal policy optimisation (Schulman et al., arXiv 1707.06347). */
  ppo: { learnsFrom: 'policy', takesRewards: true },
  /** REINFORCE with a leave-one-out baseline (Ahmadian et al., arXiv 2402.14740). */
  rloo: { learnsFrom: 'policy', takesRewards: true },
  /** Group relative policy optimisation (Shao et al., arXiv 2402.03300). */
  grpo: { learnsFrom: 'policy', takesRewards: true },
  /** Regression of relative rewards (Gao et al., arXiv 2404.16767), one step of it, from the reference policy. */
  rebel: { learnsFrom: 'reference', takesRewards: true },
  /** Direct preference optimisation (Rafailov et al., arXiv 2305.18290). */
  dpo: { learnsFrom: 'reference', takesRewards: false },
  /** Identity preference optimisation (Azar et al., arXiv 2310.12036). */
  ipo: { learnsFrom: 'reference', takesRewards: false },
  /** Best-of-n distillation from the best and the worst of n (Gui et al., arXiv 2406.00832). */
  bonbon: { learnsFrom: 'reference', takesRewards: false },
} as const;

/** The name of an algorithm. */
export type Algorithm = keyof typeof algorithms;

/** How a policy is trained. */
export interface Method {
  /** As parseMethod reads it. */
  readonly name: string;
  readonly algorithm: Algorithm;
  /**
   * What the algorithm takes as the reward: `raw`, a transformation of the calibrated reward, or `fp:PROCEDURE`, the best one for
   * the procedure at the strength of the run. Undefined where it takes none.
   */
  readonly reward: string | undefined;
  /** So many of a prompt's references calibrate it (K); undefined for all there are. */
  readonly references: number | undefined;
  /** Whether the bias of Φ(Ĉ) that comes of a finite number of references is taken out. */
  readonly corrected: boolean;
}

/** The reward of a method at a strength, and the β that it begins with. */
export interface MethodReward {
  readonly reward: 'raw' | Transformation;
  /**
   * On the scale of the reward: that of the raw reward, or of the normalised transformation. For an algorithm without rewards, of its own:
   * see {@link rewardOfMethod}.
   */
  readonly beta: number;
}

/**
 * Reads a method: an algorithm that takes rewards with its reward (`ppo/raw`, `ppo/identity`, `ppo/exp:10`, `rloo/log`,
 * `grpo/fp:bon:4`, `rebel/exp:5`), or one that does not (`dpo`, `ipo`, `bonbon`). `ppo/log` is vBoN (Amini et al., arXiv 2407.06057):
 * its optimum at β = 1/(n−1) is the best-of-n policy.
 *
 * A transformation may be followed by `/k:K`, to calibrate with K of a prompt's references, and by `/corrected`, for the estimate of Φ
 * that is free of finite-K bias: `ppo/exp:10/k:8/corrected`.
 *
 * @throws InputError that lists what is allowed
 */
export function parseMethod(text: string): Method {
  const name = text.trim();
  const [, whole, k, correction] = /^(.*?)(?:\/k:(\d+))?(\/corrected)?$/s.exec(name)!;
  const [word, ...rest] = whole!.split('/');
  const reward = rest.length === 0 ? undefined : rest.join('/');
  if (!isAlgorithm(word!)) {
    throw new InputError(
      `unknown method '${text}': use ALGORITHM/REWARD with one of ${withRewards.join(', ')}, as in ppo/exp:10, ` +
        `or one of ${withoutRewards.join(', ')}`,
    );
  }
  const { takesRewards } = algorithms[word];
  if (takesRewards && reward === undefined) {
    throw new InputError(
      `${text} names no reward: write ${word}/raw, ${word}/identity, ${word}/exp:10, or ${word}/fp:bon:4`,
    );
  }
  if (!takesRewards && reward !== undefined) {
    throw new InputError(`${word} takes no rewards, it compares rollouts: write ${word}, not ${text}`);
  }
  const references = k === undefined ? undefined : Number(k);
  const method = { name, algorithm: word, reward, references, corrected: correction !== undefined };
  if (reward === undefined || reward === 'raw') {
    if (references === undefined && !method.corrected) return method;
    throw new InputError(`${text} learns from nothing that is calibrated: write ${whole}`);
  }
  if (references === 0) throw new InputError(`${text} calibrates with no references: write k:1 or more`);
  const procedure = fixedPointProcedure(reward);
  if (procedure !== undefined) parseProcedure(procedure);
  const hasCorrection = procedure === undefined && parseTransformation(reward).unbiasedEstimate !== undefined;
  if (method.corrected && !hasCorrection) {
    throw new InputError(`${reward} has no finite-K correction: write ${name.slice(0, -correction!.length)}`);
  }
  return method;
}

/**
 * What a method trains on at a strength, and with which β it begins.
 *
 * - With a transformation, a KL gives the β whose exact optimum has it.
 * - With the raw reward, whose scale is not known, a KL gives the β in standard deviations of it that has the KL where rewards
 *   are normal: KL = 1/(2β²).
 * - IPO's optimum on the order of rewards is that of the identity: its β (there τ) is the raw one of it (Azar et al., §5). DPO
 *   begins with the same.
 * - BoNBoN distils the best of n = 1 + 1/β, as `log` does at the raw β.
 *
 * @param strength a KL in nats, or a β: normalised where there is a transformation, else the algorithm's own
 * @throws InputError if the strength is not above 0, or out of reach
 */
export function rewardOfMethod({ algorithm, reward }: Method, strength: Strength): MethodReward {
  if (reward === undefined) {
    const transformation = algorithm === 'bonbon' ? parseTransformation('log') : identityTransformation;
    const beta = 'beta' in strength ? strength.beta : betaForKl(transformation, strength.kl);
    return { reward: identityTransformation, beta };
  }
  if (reward === 'raw') {
    return { reward, beta: 'beta' in strength ? strength.beta : Math.sqrt(1 / (2 * strength.kl)) };
  }
  const procedure = fixedPointProcedure(reward);
  if (procedure !== undefined) return fixedPoint(procedure, strength);
  const transformation = parseTransformation(reward);
  const beta =
    'beta' in strength ? strength.beta : normalisedBeta(transformation, betaForKl(transformation, strength.kl));
  return { reward: transformation, beta };
}

function fixedPoint(procedure: string, strength: Strength): MethodReward {
  const at = (kl: number): { transformation: Transformation; beta: number } => {
    const { transformation, beta } = optimalTransformation(parseProcedure(procedure), { kl });
    return { transformation, beta: normalisedBeta(transformation, beta) };
  };
  const kl = 'kl' in strength ? strength.kl : klForBeta((kl) => at(kl).beta, strength.beta, procedure);
  const { transformation, beta } = at(kl);
  return { reward: { ...transformation, name: `fp:${kl}:${procedure}` }, beta };
}

function klForBeta(betaAt: (kl: number) => number, beta: number, procedure: string): number {
  const [most, least] = [betaAt(weakestKl), betaAt(strongestKl)];
  if (!(beta >= least && beta <= most)) {
    throw new InputError(
      `a β of ${beta} is out of reach for fp:${procedure}: it goes from ${least.toPrecision(3)} to ${most.toPrecision(3)}`,
    );
  }
  const excess = (logKl: number): number => Math.log(betaAt(Math.exp(logKl)) / beta);
  return Math.exp(bracketedRoot(excess, Math.log(weakestKl), Math.log(strongestKl), 1e-9));
}

/** The KL in nats between which the strength of a fixed point is looked for. */
const [weakestKl, strongestKl] = [1e-4, 12];

/** The procedure of `fp:PROCEDURE`; undefined for any other reward, `fp:KL:PROCEDURE` among them. */
function fixedPointProcedure(reward: string): string | undefined {
  return /^fp:(?![+-]?[.\d])(.+)$/.exec(reward)?.[1];
}

const names = Object.keys(algorithms) as Algorithm[];
const withRewards = names.filter((name) => algorithms[name].takesRewards);
const withoutRewards = names.filter((name) => !algorithms[name].takesRewards);

function isAlgorithm(word: string): word is Algorithm {
  return (names as string[]).includes(word);
}
