import { type GraphTensor } from './graph.js';
import { NativeTensor, nativeBinding } from './native.js';
import { add, divide, minimum, multiply, square, squareRoot, sum } from './operations.js';
import { Variable } from './variable.js';

/** Changes variables along gradients. */
export interface Optimiser {
  /**
   * One step, in place.
   *
   * @param gradients by the names of the variables; a variable without one is left as it is
   * @param learningRate η ≥ 0
   */
  step(gradients: ReadonlyMap<string, NativeTensor>, learningRate: number): void;
  /** Frees the memory of what it keeps of every variable. */
  dispose(): void;
}

/** Settings of Adam; with a weight decay above 0 it is AdamW. */
export interface AdamOptions {
  /** β₁, in [0, 1). */
  readonly beta1: number;
  /** β₂, in [0, 1). */
  readonly beta2: number;
  /** ε > 0. */
  readonly epsilon: number;
  /** λ ≥ 0; 0 by default. */
  readonly weightDecay?: number;
}

/** What Adam keeps of a variable: running means of its gradient and of the gradient's square. */
export interface Moments {
  readonly first: Variable;
  readonly second: Variable;
}

/** Adam, and what its future depends on. */
export interface Adam extends Optimiser {
  readonly moments: ReadonlyMap<string, Moments>;
  /** Steps done. */
  steps: number;
}

/**
 * Adam (Kingma & Ba, arXiv 1412.6980, Algorithm 1): `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
 * `w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)`; with decoupled weight decay first, `w ← w − ηλw` (AdamW, Loshchilov & Hutter,
 * arXiv 1711.05101). One native operation a variable.
 */
export function createAdam(variables: ReadonlyMap<string, Variable>, options: AdamOptions): Adam {
  const { beta1, beta2, epsilon, weightDecay = 0 } = options;
  const moments = new Map(
    [...variables].map(([name, { shape }]) => {
      const zeros = new Float32Array(shape.reduce((a, b) => a * b, 1));
      return [name, { first: new Variable(zeros, shape), second: new Variable(zeros, shape) }] as const;
    }),
  );
  return {
    moments,
    steps: 0,
    step(gradients, learningRate) {
      this.steps++;
      const [power1, power2] = [beta1 ** this.steps, beta2 ** this.steps];
      // The native operation adds its ε before the correction of v: this ε makes it the paper's.
      const values = [power1, power2, learningRate, beta1, beta2, epsilon * Math.sqrt(1 - power2)];
      const scalars = values.map((value) => NativeTensor.of(Float32Array.of(value), []));
      const settings = scalars.map((scalar) => scalar.id);
      try {
        for (const [name, gradient] of gradients) {
          const variable = variables.get(name)!;
          const { first, second } = moments.get(name)!;
          if (weightDecay > 0) decay(variable, learningRate * weightDecay);
          const handles = [variable.handle, first.handle, second.handle];
          nativeBinding().executeOp('ResourceApplyAdam', [], [...handles, ...settings, gradient.id], 0);
        }
      } finally {
        for (const scalar of scalars) scalar.dispose();
      }
    },
    dispose() {
      for (const { first, second } of moments.values()) {
        first.dispose();
        second.dispose();
      }
    },
  };
}

/** Stochastic gradient descent: `w ← w − η·g`. */
export function createGradientDescent(variables: ReadonlyMap<string, Variable>): Optimiser {
  return {
    step(gradients, learningRate) {
      const rate = NativeTensor.of(Float32Array.of(learningRate), []);
      try {
        for (const [name, gradient] of gradients) {
          const inputs = [variables.get(name)!.handle, rate.id, gradient.id];
          nativeBinding().executeOp('ResourceApplyGradientDescent', [], inputs, 0);
        }
      } finally {
        rate.dispose();
      }
    },
    dispose: () => undefined,
  };
}

/** `w ← w − share·w`. */
function decay(variable: Variable, share: number): void {
  const factor = NativeTensor.of(Float32Array.of(share), []);
  const value = variable.value();
  const [lost] = nativeBinding().executeOp('Mul', [], [value.id, factor.id], 1);
  value.dispose();
  factor.dispose();
  nativeBinding().executeOp('AssignSubVariableOp', [], [variable.handle, lost!.id], 0);
  nativeBinding().deleteTensor(lost!.id);
}

/**
 * Scales gradients down to a global norm where they exceed it.
 *
 * @param maxNorm float32 without axes, above 0
 * @returns the gradients, and their norm before: √(Σ g²) over all of them
 */
export function clipByGlobalNorm(
  gradients: readonly GraphTensor[],
  maxNorm: GraphTensor,
): { readonly clipped: readonly GraphTensor[]; readonly norm: GraphTensor } {
  const squares = gradients.map((gradient) => sum(square(gradient)));
  const norm = squareRoot(squares.reduce((a, b) => add(a, b)));
  // Also right for a norm of 0, and for no limit (∞).
  const scale = minimum(divide(maxNorm, norm), 1);
  return { clipped: gradients.map((gradient) => multiply(gradient, scale)), norm };
}
