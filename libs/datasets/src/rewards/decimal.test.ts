import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '@infalign/core';
import { scanDecimal } from './decimal.js';

function scan(text: string): { value: number; position: number } {
  const cursor = { position: 0 };
  const value = scanDecimal(Buffer.from(`${text},`), cursor);
  return { value, position: cursor.position };
}

describe('scanDecimal', () => {
  it('reads every double that JavaScript prints exactly, or leaves it to JSON.parse', () => {
    let answered = 0;
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (expected) => {
        const { value } = scan(String(expected));
        if (!Number.isNaN(value)) expect(value).toBe(expected === 0 ? 0 : expected);
      }),
      { seed: 1, numRuns: 5000 },
    );
    const random = seededRandom('decimal');
    for (let draw = 0; draw < 20_000; draw++) {
      const expected = random.normal() * 10 ** (random.integer(8) - 4);
      const { value } = scan(String(expected));
      if (Number.isNaN(value)) continue;
      answered++;
      expect(value).toBe(expected);
    }
    expect(answered).toBeGreaterThan(19_900);
  });

  it('rounds decimals that nobody printed from a double as JSON.parse does', () => {
    let answered = 0;
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 999_999_999_999_999_999n }),
        fc.integer({ min: 0, max: 22 }),
        (digits, decimals) => {
          const padded = digits.toString().padStart(decimals + 1, '0');
          const whole = padded.slice(0, padded.length - decimals);
          const text = decimals === 0 ? whole : `${whole}.${padded.slice(padded.length - decimals)}`;
          const { value, position } = scan(text);
          if (Number.isNaN(value)) return;
          answered++;
          expect(value).toBe(Number(text));
          expect(position).toBe(text.length);
        },
      ),
      { seed: 3, numRuns: 20_000 },
    );
    expect(answered).toBeGreaterThan(15_000);
  });

  it('does not answer half-way between two doubles, and next to it rounds to the right side', () => {
    // 1 + 2^-53 lies exactly between 1 and 1 + 2^-52; its 54 digits are cut to 18.
    for (const text of [
      '1.00000000000000011',
      '1.00000000000000012',
      '9007199254740993',
      '9007199254740992.5',
      '0.500000000000000055',
    ]) {
      const { value } = scan(text);
      if (!Number.isNaN(value)) expect(value).toBe(Number(text));
    }
    expect(scan('9007199254740993').value).toBeNaN();
  });

  it('reads signs, zeros and exponents', () => {
    expect(scan('0').value).toBe(0);
    expect(scan('-0.0').value).toBe(-0);
    expect(scan('-12.5').value).toBe(-12.5);
    expect(scan('1.25e-5').value).toBe(1.25e-5);
    expect(scan('1250E-3').value).toBe(1.25);
    expect(scan('1.5e+1').value).toBe(15);
    expect(scan('0.000000000000000001234').value).toBe(1.234e-18);
  });

  it('does not answer what JSON forbids', () => {
    for (const text of ['', '-', '01', '00.5', '.5', '1.', '1e', '1e+', '+1', 'NaN', 'Infinity', '--1']) {
      expect(scan(text).value, text).toBeNaN();
    }
  });
});
