import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom, shuffled } from './random.js';

describe('seededRandom', () => {
  it('keeps its first values for ever, so that recorded runs can be repeated', () => {
    const random = seededRandom('infalign', 7);
    expect([random.uniform(), random.uniform(), random.integer(1000), random.normal()]).toEqual([
      0.8754259654304919, 0.9566222331728677, 373, 0.8864227862087009,
    ]);
  });

  it('gives equal streams for equal parts', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }))), (parts) => {
        const one = seededRandom(...parts);
        const other = seededRandom(...parts);
        for (let i = 0; i < 5; i++) expect(one.uniform()).toBe(other.uniform());
      }),
      { seed: 1 },
    );
  });

  it('tells apart order, number, type and string boundaries of the parts', () => {
    const lists: (string | number)[][] = [
      [],
      [0],
      [''],
      [0, 0],
      ['', ''],
      [1],
      ['1'],
      [1, 2],
      [2, 1],
      [12],
      ['ab', 'c'],
      ['a', 'bc'],
      ['abc'],
      ['abc', ''],
      [-1],
      [0.5],
      [2 ** 32],
      [2 ** 52],
    ];
    expect(new Set(lists.map((parts) => seededRandom(...parts).uniform())).size).toBe(lists.length);
    expect(seededRandom(-0).uniform()).toBe(seededRandom(0).uniform());
  });

  it('has no correlation between the streams of neighbouring seeds', () => {
    const n = 20_000;
    let meanOfFirst = 0;
    let meanOfSecond = 0;
    let lagged = 0;
    let previous = 0.5;
    const cells = new Float64Array(64);
    for (let seed = 0; seed < n; seed++) {
      const random = seededRandom('run', seed);
      const first = random.uniform();
      meanOfFirst += first / n;
      meanOfSecond += random.uniform() / n;
      lagged += ((first - 0.5) * (previous - 0.5)) / n;
      previous = first;
      const cell = Math.floor(first * 64);
      cells[cell] = (cells[cell] as number) + 1;
    }
    expect(Math.abs(meanOfFirst - 0.5)).toBeLessThan(0.008);
    expect(Math.abs(meanOfSecond - 0.5)).toBeLessThan(0.008);
    expect(Math.abs(lagged * 12)).toBeLessThan(0.028);
    const chiSquared = cells.reduce((sum, count) => sum + (count - n / 64) ** 2 / (n / 64), 0);
    expect(chiSquared).toBeLessThan(115); // 63 degrees of freedom: exceeded once in 10,000
  });

  it('has no repeated starting state over many seeds', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 200_000; i++) seen.add(seededRandom(i % 100, `prompt-${Math.floor(i / 100)}`).uniform());
    expect(seen.size).toBe(200_000);
  });

  it('draws uniform numbers with all 53 bits, from [0, 1)', () => {
    const random = seededRandom('bits');
    let any = 0n;
    let all = (1n << 53n) - 1n;
    for (let i = 0; i < 2000; i++) {
      const u = random.uniform();
      expect(u >= 0 && u < 1).toBe(true);
      const bits = BigInt(u * 2 ** 53);
      any |= bits;
      all &= bits;
    }
    expect(any).toBe((1n << 53n) - 1n);
    expect(all).toBe(0n);
  });

  it('draws integers that are evenly spread, also for a range that does not divide a power of two', () => {
    const random = seededRandom('integers');
    for (const max of [1, 2, 3, 7, 100]) {
      const counts = new Float64Array(max);
      const n = 2000 * max;
      for (let i = 0; i < n; i++) {
        const k = random.integer(max);
        counts[k] = (counts[k] as number) + 1;
      }
      for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(220);
    }
    // Modulo bias would show here: 3·2³⁰ does not divide 2³², and the low third would be drawn half of the time.
    const big = 3 * 2 ** 30;
    let low = 0;
    for (let i = 0; i < 10_000; i++) if (random.integer(big) < 2 ** 30) low++;
    expect(Math.abs(low / 10_000 - 1 / 3)).toBeLessThan(0.02);
    expect(random.integer(2 ** 53)).toBeGreaterThan(2 ** 40);
  });

  it('draws normals with the moments of a standard normal', () => {
    const random = seededRandom('normal');
    const n = 200_000;
    const moments = [0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const z = random.normal();
      for (let k = 0; k < 4; k++) moments[k] = (moments[k] as number) + z ** (k + 1) / n;
    }
    expect(moments[0]).toBeCloseTo(0, 1);
    expect(Math.abs((moments[1] as number) - 1)).toBeLessThan(0.015);
    expect(Math.abs(moments[2] as number)).toBeLessThan(0.04);
    expect(Math.abs((moments[3] as number) - 3)).toBeLessThan(0.1);
  });

  it('refuses what cannot be a seed or a range', () => {
    expect(() => seededRandom(NaN)).toThrow(/finite/);
    const random = seededRandom(1);
    for (const max of [0, -1, 1.5, Infinity, NaN]) expect(() => random.integer(max)).toThrow(RangeError);
  });
});

describe('shuffled', () => {
  it('gives each order of three equally often', () => {
    const random = seededRandom('test');
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = shuffled(['a', 'b', 'c'], random).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // Standard deviation of a count: √(6000 · 1/6 · 5/6) ≈ 29.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(4 * 29);
  });
});
