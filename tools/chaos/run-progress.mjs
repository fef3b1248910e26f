import { stepNames } from '@infalign/pipeline';

/** How much of a run on services its parts are, together 1. */
const shares = {
  [stepNames.heldOutReferences]: 0.1,
  [stepNames.trainingReferences]: 0.1,
  learning: 0.7,
  evaluation: 0.1,
};

/** How far `infalign run` is with what services carry out, by the events that it tells. */
export function runProgress() {
  const parts = new Map(Object.keys(shares).map((name) => [name, 0]));
  let latest = 'nothing yet';
  let changedAt = performance.now();
  return {
    /** From 0 to 1. */
    fraction: () => [...parts].reduce((sum, [name, done]) => sum + shares[name] * done, 0),
    /** In words. */
    latest: () => latest,
    /** How long there has been none. */
    idleMilliseconds: () => performance.now() - changedAt,
    /** Something else has happened that keeps the run from going on. */
    excuse: () => void (changedAt = performance.now()),
    /** @returns {boolean} whether it is further than before */
    onEvent({ event, step, phase, done, total }) {
      if (event !== 'progress' && event !== 'step-finished') return false;
      const isPolicyStep = !parts.has(step);
      const part = isPolicyStep ? (phase?.startsWith('training') ? 'learning' : 'evaluation') : step;
      const fraction = event === 'step-finished' ? 1 : done / total;
      if (fraction <= parts.get(part)) return false;
      parts.set(part, fraction);
      latest = event === 'progress' ? `${step}: ${phase}, ${done} of ${total}` : `${step} is done`;
      changedAt = performance.now();
      return true;
    },
  };
}
