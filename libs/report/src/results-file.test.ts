import { InputError } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syntheticResults, withPlant } from './experiment-results.fixture.js';
import type { ExperimentResults } from './results.js';
import { formatResults, parseResults } from './results-file.js';

const results = syntheticResults();

/** The same value with the keys of every object in the opposite order. */
function withKeysReversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withKeysReversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, withKeysReversed(item)]),
  );
}

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });

const anyResults: fc.Arbitrary<ExperimentResults> = fc
  .record({
    settings: fc.string({ unit: 'binary' }),
    prompt: fc.string({ unit: 'binary' }),
    text: fc.string({ unit: 'binary' }),
    reward: number,
    calibrated: share,
    low: number,
    width: fc.double({ min: 0, max: 10, noNaN: true }),
    seed: fc.nat(),
    target: fc.option(fc.double({ min: 0, max: 9, noNaN: true })),
    software: fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((name) => name !== '__proto__'),
      fc.string(),
    ),
  })
  .map(({ settings, prompt, text, reward, calibrated, low, width, seed, target, software }) => {
    const [run] = results.runs;
    const response = {
      rank: 'best' as const,
      text,
      proxy_reward: reward,
      judge_reward: -reward,
      calibrated_reward: calibrated,
    };
    return {
      ...results,
      settings,
      seed,
      runs: [{ ...run!, target_kl: target, kl: { ...run!.kl, k1: { mean: low, low, high: low + width } } }],
      samples: [{ prompt_id: 'p', prompt, policies: [{ run: null, responses: [response] }] }],
      machine: { ...results.machine, software },
    };
  });

describe('results.json', () => {
  it('is what was measured, to nine digits', () => {
    const parsed = parseResults(formatResults(results), 'results.json');
    expect(parsed.runs[2]!.win_rates[1]!.mean).toBeCloseTo(results.runs[2]!.win_rates[1]!.mean, 8);
    expect(parsed.samples).toHaveLength(2);
    expect(parsed.base_model.training_tokens).toBe(5_120_000);
  });

  it('comes back from its own text unchanged, whatever it holds', () => {
    fc.assert(
      fc.property(anyResults, (anything) => {
        const text = formatResults(anything);
        const parsed = parseResults(text, 'results.json');
        expect(formatResults(parsed)).toBe(text);
        expect(parsed.settings).toBe(anything.settings);
        expect(parsed.samples[0]!.policies[0]!.responses[0]!.text).toBe(
          anything.samples[0]!.policies[0]!.responses[0]!.text,
        );
        const { proxy_reward } = parsed.samples[0]!.policies[0]!.responses[0]!;
        const original = anything.samples[0]!.policies[0]!.responses[0]!.proxy_reward;
        expect(Math.abs(proxy_reward - original)).toBeLessThanOrEqual(Math.abs(original) * 1e-8);
      }),
      { seed: 1, numRuns: 40 },
    );
  });

  it('holds a planted phrase and how often it is said, or neither', () => {
    const planted = withPlant(results);
    const text = formatResults(planted);
    const parsed = parseResults(text, 'results.json');
    expect(parsed.plant).toMatchObject({ phrase: ' the people', share: 0.25, liking: { judge: { mean: -0.12 } } });
    expect(parsed.runs[3]!.phrase_share!.mean).toBeCloseTo(0.07, 8);
    const { plant } = planted;
    const place = 'results: runs[0].phrase_share: must be there where there is a plant, and only there';
    expect(() => formatResults({ ...results, plant: plant! })).toThrow(place);
    expect(() => formatResults({ ...results, runs: planted.runs })).toThrow(place);
    expect(formatResults(results)).not.toMatch(/plant|phrase/);
  });

  it('has the same bytes in whatever order the keys were put in', () => {
    expect(formatResults(withKeysReversed(results) as ExperimentResults)).toBe(formatResults(results));
  });

  it('has the same bytes when sums differ in their last bits', () => {
    const accuracy = { mean: 0.1 + 0.2, low: 0.1, high: 0.4 };
    const other = { mean: 0.3, low: 0.1, high: 0.4 };
    expect(accuracy.mean).not.toBe(other.mean);
    expect(formatResults({ ...results, proxy: { ...results.proxy, accuracy } })).toBe(
      formatResults({ ...results, proxy: { ...results.proxy, accuracy: other } }),
    );
  });

  it('keeps what depends on the clock or the machine under machine and times, at the end', () => {
    const elsewhere = {
      ...results,
      machine: { ...results.machine, processor: 'another', cores: 64, software: { node: '22.0.0' } },
      times: { ...results.times, started_at: '2031-01-01T00:00:00.000Z', total_seconds: 1, steps: [] },
    };
    const reproducible = (text: string) => text.slice(0, text.indexOf('\n  "machine": '));
    expect(formatResults(elsewhere)).not.toBe(formatResults(results));
    expect(reproducible(formatResults(elsewhere))).toBe(reproducible(formatResults(results)));
    expect(Object.keys(JSON.parse(formatResults(results)) as object).slice(-2)).toEqual(['machine', 'times']);
  });

  it('refuses to be written with a number that is not one, and names the place', () => {
    const [run, ...others] = results.runs;
    const broken = { ...run!, kl: { ...run!.kl, k3: { mean: NaN, low: 0, high: 1 } } };
    expect(() => formatResults({ ...results, runs: [broken, ...others] })).toThrow(InputError);
    expect(() => formatResults({ ...results, runs: [broken, ...others] })).toThrow(/runs\[0\]\.kl\.k3\.mean/);
  });

  const text = formatResults(results);
  it.each([
    ['a file that is cut short', text.slice(0, text.length / 2), /other\.json is not JSON/],
    ['something else altogether', '[1, 2]', /other\.json: the whole file/],
    ['a later version', text.replace('"schema_version": 1', '"schema_version": 2'), /schema_version/],
    ['a field that is missing', text.replace(/\n {2}"seed": \d+,/, ''), /other\.json: seed/],
    ['a field that nobody knows', text.replace('{\n', '{\n  "sed": 1,\n'), /sed/],
    [
      'a win rate above one',
      text.replace(/("scorer": "judge",\s+)"mean": [\d.]+/, '$1"mean": 1.5'),
      /win_rates\[1\]\.mean/,
    ],
    [
      'win rates on fewer prompts than there are',
      text.replace(/("by_prompt": \[)[\d.]+, /, '$1'),
      /runs\[0\]\.kl\.by_prompt: has 95 numbers for 96/,
    ],
    ['an interval that is upside down', text.replace(/"low": [\d.]+/, '"low": 7'), /must have low ≤ high/],
    [
      'two runs of one name',
      text.replaceAll('kl-0.6-seed-1', 'kl-0.25-seed-1'),
      /runs\[1\]\.name: is the name of an earlier/,
    ],
    [
      'a win rate of an unknown procedure',
      text.replace(/"procedure": "won:4",(?=\s+"scorer")/, '"procedure": "won:5",'),
      /is not one of procedures/,
    ],
    [
      'a curve that turns back',
      text.replace('"points": [\n        {', '"points": [\n        {"kl": 9, "win_rate": 0.5}, {'),
      /points/,
    ],
  ])('refuses %s with one message that names the place', (_name, changed, message) => {
    expect(changed).not.toBe(text);
    expect(() => parseResults(changed, 'other.json')).toThrow(InputError);
    expect(() => parseResults(changed, 'other.json')).toThrow(message);
  });
});
