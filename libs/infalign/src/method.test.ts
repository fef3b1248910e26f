import { describe, expect, it } from 'vitest';
import { alignedPolicy } from './aligned-policy.js';
import { frontierPoint } from './frontier.js';
import { InputError } from './input-error.js';
import { parseMethod, rewardOfMethod, type MethodReward } from './method.js';
import { parseProcedure } from './procedure.js';
import { rawBeta, type Transformation } from './transformation.js';

function transformationOf({ reward }: MethodReward): Transformation {
  if (reward === 'raw') throw new Error('raw');
  return reward;
}

describe('parseMethod', () => {
  it('reads algorithms with and without rewards', () => {
    const plain = { references: undefined, corrected: false };
    expect(parseMethod(' ppo/exp:-10 ')).toEqual({
      name: 'ppo/exp:-10',
      algorithm: 'ppo',
      reward: 'exp:-10',
      ...plain,
    });
    expect(parseMethod('rloo/raw')).toEqual({ name: 'rloo/raw', algorithm: 'rloo', reward: 'raw', ...plain });
    expect(parseMethod('grpo/fp:kth:2/4').reward).toBe('fp:kth:2/4');
    expect(parseMethod('dpo')).toEqual({ name: 'dpo', algorithm: 'dpo', reward: undefined, ...plain });
  });

  it('reads how many references calibrate it, and whether it is corrected for them', () => {
    expect(parseMethod('ppo/exp:10/k:8')).toMatchObject({ reward: 'exp:10', references: 8, corrected: false });
    expect(parseMethod('ppo/exp:10/corrected')).toMatchObject({ references: undefined, corrected: true });
    const both = 'rloo/identity/k:16/corrected';
    expect(parseMethod(both)).toMatchObject({ name: both, reward: 'identity', references: 16, corrected: true });
    expect(parseMethod('ppo/fp:kth:2/4/k:8')).toMatchObject({ reward: 'fp:kth:2/4', references: 8 });
    expect(() => parseMethod('ppo/log/corrected')).toThrow('log has no finite-K correction: write ppo/log');
    expect(() => parseMethod('ppo/fp:bon:4/k:8/corrected')).toThrow(
      /no finite-K correction: write ppo\/fp:bon:4\/k:8$/,
    );
    expect(() => parseMethod('dpo/k:8')).toThrow('dpo/k:8 learns from nothing that is calibrated: write dpo');
    expect(() => parseMethod('ppo/raw/corrected')).toThrow(/write ppo\/raw$/);
    expect(() => parseMethod('ppo/log/k:0')).toThrow(/no references/);
  });

  it('says what is wrong and what is allowed', () => {
    expect(() => parseMethod('identity')).toThrow(
      /unknown method 'identity': use ALGORITHM\/REWARD with one of ppo, rloo/,
    );
    expect(() => parseMethod('ppo')).toThrow(/ppo names no reward: write ppo\/raw/);
    expect(() => parseMethod('dpo/raw')).toThrow(/dpo takes no rewards.*write dpo, not dpo\/raw/);
    expect(() => parseMethod('ppo/exp:0')).toThrow(/exp:0 is not a transformation/);
    expect(() => parseMethod('ppo/fp:best')).toThrow(/unknown inference-time procedure/);
    expect(() => parseMethod('constructor')).toThrow(InputError);
  });
});

describe('rewardOfMethod', () => {
  it('begins with the β whose exact optimum has the KL, for every transformation', () => {
    for (const name of [
      'ppo/identity',
      'ppo/log',
      'rloo/exp:10',
      'grpo/exp:-5',
      'ppo/fp:bon:4',
      'ppo/fp:mix:bon:1@0.5+bon:8@0.5',
    ]) {
      const wanted = rewardOfMethod(parseMethod(name), { kl: 0.7 });
      const transformation = transformationOf(wanted);
      expect(alignedPolicy(transformation.apply, rawBeta(transformation, wanted.beta)).kl, name).toBeCloseTo(0.7, 6);
    }
  });

  it('reaches the frontier with the fixed point, whether strength is a KL or a β', () => {
    const procedure = parseProcedure('won:4');
    const method = parseMethod('ppo/fp:won:4');
    const byKl = rewardOfMethod(method, { kl: 1.2 });
    const byBeta = rewardOfMethod(method, { beta: byKl.beta });
    for (const wanted of [byKl, byBeta]) {
      const transformation = transformationOf(wanted);
      const policy = alignedPolicy(transformation.apply, rawBeta(transformation, wanted.beta));
      expect(policy.winRate(procedure)).toBeCloseTo(frontierPoint(procedure, 'optimal', { kl: 1.2 }).winRate, 6);
    }
    expect(() => rewardOfMethod(method, { beta: 1e9 })).toThrow(/out of reach for fp:won:4: it goes from/);
  });

  it('begins IPO with the β at which the identity has the KL, and BoNBoN with the n whose best-of-n policy has it', () => {
    const ipo = rewardOfMethod(parseMethod('ipo'), { kl: 0.5 });
    expect(alignedPolicy((u) => u, ipo.beta).kl).toBeCloseTo(0.5, 8);
    const n = 1 + 1 / rewardOfMethod(parseMethod('bonbon'), { kl: 0.5 }).beta;
    expect(Math.log(n) - (n - 1) / n).toBeCloseTo(0.5, 8);
  });

  it('takes the raw reward as it is', () => {
    expect(rewardOfMethod(parseMethod('ppo/raw'), { kl: 0.5 })).toEqual({ reward: 'raw', beta: 1 });
    expect(rewardOfMethod(parseMethod('ppo/raw'), { beta: 0.07 })).toEqual({ reward: 'raw', beta: 0.07 });
  });
});
