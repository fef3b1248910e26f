import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { autoscaler, desiredReplicas } from './autoscaler.mjs';
import { longestWait, replicaSeconds, simulate } from './simulate.mjs';

const group = { rebalanceSeconds: 3, sessionTimeoutSeconds: 10, startSeconds: 30, replaceSeconds: 340 };
const scaler = { lagThreshold: 100, pollingSeconds: 15, cooldownSeconds: 120, maximum: 100 };
/** As many as there are from the start, and no more. */
const fixed = (replicas) => ({ ...scaler, lagThreshold: 1e-9, maximum: replicas });
const stage = (changes) => ({ name: 'stage', rate: 10, scaler, ...changes });

describe('a queue', () => {
  it('that gets more than one replica can do for a while is as long, and lasts as long, as arithmetic has it', () => {
    // 15 a second for 100 s against 10 a second: 500 wait; 4 a second from then on: gone after 500 / 6 s more.
    const [{ lag, served }] = simulate(
      { stages: [stage({ replicas: 1, scaler: fixed(1) })], partitions: 4, group },
      { seconds: 300, arrivals: (now) => (now < 100 ? 15 : 4) },
    );
    expect(lag[99]).toBeCloseTo(500, 6);
    expect(lag.findIndex((each, index) => index > 100 && each < 1e-6)).toBe(100 + Math.floor(500 / 6));
    expect(served[299]).toBeCloseTo(1500 + 800, 6);
  });

  it('has its longest wait at the end of the burst: the 500 that wait, at 10 a second', () => {
    const [course] = simulate(
      { stages: [stage({ replicas: 1, scaler: fixed(1) })], partitions: 1, group },
      { seconds: 300, arrivals: (now) => (now < 100 ? 15 : 4) },
    );
    expect(Math.abs(longestWait(course) - 50)).toBeLessThanOrEqual(1);
  });

  it('stands still while its group is rebalanced, and that of a lost replica until it is missed', () => {
    const [{ lag, served }] = simulate(
      { stages: [stage({ replicas: 2, scaler: fixed(2) })], partitions: 2, group },
      { seconds: 120, arrivals: () => 8, losses: [{ at: 50, share: 0.5 }] },
    );
    // For 10 s half of 8 a second is served, for 3 s nothing; then one replica does 10 a second.
    expect(lag[49]).toBeCloseTo(0, 9);
    expect(lag[59]).toBeCloseTo(40, 9);
    expect(lag[62]).toBeCloseTo(64, 9);
    expect(lag[63]).toBeCloseTo(62, 9);
    expect(served[119]).toBeCloseTo(8 * 120 - lag[119], 6);
  });
});

describe('records', () => {
  const systems = fc.record({
    rates: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 3 }),
    partitions: fc.integer({ min: 1, max: 12 }),
    lagThreshold: fc.integer({ min: 1, max: 500 }),
    burst: fc.integer({ min: 0, max: 300 }),
    lossAt: fc.integer({ min: 0, max: 500 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it('are served, or wait, and go from stage to stage: none is lost or made', () => {
    fc.assert(
      fc.property(systems, ({ rates, partitions, lagThreshold, burst, lossAt, share }) => {
        const stages = rates.map((rate, index) =>
          stage({ name: `${index}`, rate, scaler: { ...scaler, lagThreshold } }),
        );
        const courses = simulate(
          { stages, partitions, group },
          { seconds: 600, arrivals: (now) => (now < 100 ? burst : 5), losses: [{ at: lossAt, share }] },
        );
        let before = courses[0].arrived;
        for (const { arrived, served, lag, replicas } of courses) {
          expect(Math.max(...replicas)).toBeLessThanOrEqual(partitions);
          for (let second = 0; second < 600; second += 50) {
            expect(arrived[second]).toBeCloseTo(before[second], 6);
            expect(served[second] + lag[second]).toBeCloseTo(arrived[second], 6);
          }
          before = served;
        }
        expect(courses[0].arrived[599]).toBeCloseTo(100 * burst + 500 * 5, 6);
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('never wait longer where replicas are faster, if there are as many of them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 40 }),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 4 }),
        (rate, more, replicas) => {
          const waits = [rate, rate + more].map((each) => {
            const stages = [stage({ rate: each, replicas, scaler: fixed(replicas) })];
            const [course] = simulate(
              { stages, partitions: 4, group },
              { seconds: 400, arrivals: (now) => (now < 60 ? 100 : 0) },
            );
            return longestWait(course);
          });
          expect(waits[1]).toBeLessThanOrEqual(waits[0]);
        },
      ),
      { seed: 1, numRuns: 40 },
    );
  });
});

describe('replicas', () => {
  it('are as many as lag asks for, unless that is nearly as many as there are', () => {
    expect(desiredReplicas(1000, 100, 4)).toBe(10);
    expect(desiredReplicas(1001, 100, 4)).toBe(11);
    expect(desiredReplicas(1090, 100, 10)).toBe(10);
    expect(desiredReplicas(1110, 100, 10)).toBe(12);
    expect(desiredReplicas(0, 100, 10)).toBe(0);
  });

  it('double at most, or grow by four, every 15 seconds, to no more than there are partitions', () => {
    const { wanted } = autoscaler(scaler, 30);
    const course = [];
    let replicas = 0;
    for (let now = 0; now <= 75; now++) {
      replicas = wanted(now, 1e6, replicas);
      if (now % 15 === 0) course.push(replicas);
    }
    expect(course).toEqual([5, 10, 20, 30, 30, 30]);
  });

  it('go down only to what was wanted at most within five minutes, and to none after the cooldown', () => {
    const { wanted } = autoscaler({ ...scaler, cooldownSeconds: 600 }, 30);
    let replicas = 0;
    const counts = [];
    for (let now = 0; now <= 1200; now++) {
      replicas = wanted(now, now < 60 ? 1000 : 0, replicas);
      counts.push(replicas);
    }
    expect(Math.max(...counts)).toBe(10);
    expect(counts[340]).toBe(10);
    expect(counts[360]).toBe(1);
    expect(counts[640]).toBe(1);
    expect(counts[661]).toBe(0);
  });

  it('of a stage come from zero and go to zero, and are paid for in between only', () => {
    const [course] = simulate(
      { stages: [stage({})], partitions: 8, group },
      { seconds: 1500, arrivals: (now) => (now >= 300 && now < 400 ? 50 : 0) },
    );
    expect(Math.max(...course.replicas.slice(0, 300))).toBe(0);
    expect(Math.max(...course.replicas)).toBe(8);
    expect(course.replicas[1499]).toBe(0);
    expect(course.lag[1499]).toBeCloseTo(0, 6);
    expect(replicaSeconds(course)).toBeLessThan(8 * 1000);
  });
});
