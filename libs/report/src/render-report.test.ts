import { beforeAll, describe, expect, it } from 'vitest';
import { assessRun } from './assessment.js';
import { syntheticResults, withHostileText, withPlant } from './experiment-results.fixture.js';
import { matchMethods } from './matched-methods.js';
import { renderReport } from './render-report.js';

const results = syntheticResults();
let page = '';

beforeAll(async () => {
  page = await renderReport(results);
}, 60_000);

/** The page without its scripts, style sheet and pictures. */
function markupOf(html: string): string {
  return html.replaceAll(/<(script|style|svg)\b[\s\S]*?<\/\1>/g, '');
}

/** The text of every cell of every row of the table with this caption. */
function tableRows(html: string, caption: string): string[][] {
  const table = [...markupOf(html).matchAll(/<table>([\s\S]*?)<\/table>/g)].find(([, inner]) =>
    inner!.includes(caption),
  );
  if (table === undefined) throw new Error(`no table ${caption}`);
  const body = /<tbody>([\s\S]*?)<\/tbody>/.exec(table[1]!)![1]!;
  return [...body.matchAll(/<tr>([\s\S]*?)<\/tr>/g)].map(([, row]) =>
    [...row!.matchAll(/<t[hd]\b[^>]*>([\s\S]*?)<\/t[hd]>/g)].map(([, cell]) =>
      cell!
        .replaceAll(/<[^>]*>/g, ' ')
        .replaceAll(/\s+/g, ' ')
        .replaceAll('−', '-')
        .trim(),
    ),
  );
}

describe('the report', () => {
  it('stays under five megabytes', () => {
    expect(Buffer.byteLength(page)).toBeLessThan(5e6);
  });

  it('has the same bytes for the same results', async () => {
    expect(await renderReport(results)).toBe(page);
  });

  it('loads nothing', () => {
    const markup = markupOf(page);
    expect(markup).not.toMatch(/\b(src|href|srcset|action|data|poster)\s*=/i);
    expect(markup).not.toMatch(/<(link|iframe|object|embed|img|base)\b/i);
    expect(page.match(/<style>[\s\S]*?<\/style>/g)!.join()).not.toMatch(/url\(|@import/);
    expect(page.match(/<svg [\s\S]*?<\/svg>/g)!.join()).not.toMatch(/<image|<use|url\(|\shref=/);
    expect(page).toContain(`content="default-src 'none';`);
  });

  it('shows every figure without a script', () => {
    const plots = [...page.matchAll(/<div class="plot"[^>]*>\s*<svg [\s\S]*?<\/svg>/g)];
    expect(plots).toHaveLength(6 + 7 + 3 + 1); // frontier by proxy and judge; training without value loss; calibration; base
    for (const [plot] of plots) expect(plot).toMatch(/<path [^>]*d="M[\d.]/);
  });

  const titles: Readonly<Record<string, string>> = {
    'ppo/identity': 'PPO, calibrated reward',
    'ppo/exp:10': 'CTRL, exp 10',
    'ppo/exp:-10': 'CTRL, exp -10',
  };

  it('says in its first sentence which methods there are', async () => {
    const lead = (html: string) => /<p class="lead">([^(]*\([^)]*\))/.exec(html)![1];
    expect(lead(page)).toBe('9 policies (PPO, calibrated reward; CTRL, exp 10; CTRL, exp −10: 3 KL strengths, 1 seed)');
    const others = ['dpo', 'rloo/identity', 'ppo/raw'];
    const runs = results.runs.map((run, index) => ({ ...run, method: others[Math.floor(index / 3)]! }));
    expect(lead(await renderReport({ ...results, runs }))).toBe(
      '9 policies (DPO; RLOO, calibrated reward; PPO, raw reward: 3 KL strengths, 1 seed)',
    );
  });

  it('has the numbers of the results in its table of KLs, and no others', () => {
    const interval = ({ mean, low, high }: { mean: number; low: number; high: number }) =>
      `${mean.toFixed(3)} ± ${((high - low) / 2).toFixed(3)}`;
    const rows = tableRows(page, 'KL from the base policy');
    expect(rows).toHaveLength(results.runs.length);
    rows.forEach((cells, index) => {
      const run = results.runs[index]!;
      const [method, seed, target, normalised, raw, ...kls] = cells;
      expect(method).toContain(titles[run.method]);
      expect(Number(seed)).toBe(run.seed);
      expect(Number(target)).toBe(run.target_kl);
      expect(Number(normalised) / run.beta.normalised).toBeCloseTo(1, 2);
      expect(Number(raw) / run.beta.raw!).toBeCloseTo(1, 2);
      expect(kls).toEqual([run.kl.exact, run.kl.k1, run.kl.k3].map(interval));
    });
  });

  it.each([
    ['standard', 'One sample: win rate'],
    ['bon:4', 'Best of 4: win rate'],
    ['won:4', 'Worst of 4: win rate'],
  ])('has the win rates of %s in their table, and no others', (procedure, caption) => {
    const rows = tableRows(page, caption);
    expect(rows).toHaveLength(results.runs.length);
    rows.forEach((cells, index) => {
      const run = results.runs[index]!;
      const of = (scorer: string) => run.win_rates.find((one) => one.procedure === procedure && one.scorer === scorer)!;
      const { frontier, efficiency } = assessRun(results, run).find((one) => one.procedure === procedure)!;
      const interval = ({ mean, low, high }: { mean: number; low: number; high: number }) =>
        `${(100 * mean).toFixed(1)} % ± ${(50 * (high - low)).toFixed(1)}`;
      expect(cells.slice(1)).toEqual([
        String(run.seed),
        run.kl.exact.mean.toFixed(3),
        `${(100 * frontier!).toFixed(1)} %`,
        interval(of('proxy')),
        efficiency!.toFixed(2),
        interval(of('judge')),
        (100 * (of('proxy').mean - of('judge').mean)).toFixed(1),
      ]);
    });
  });

  it('compares the methods at each target KL, with their optima and the lead over the best of the others', () => {
    const { methods } = matchMethods(results);
    const rows = tableRows(page, 'Worst of 4, at the same KL');
    const kls = [0.25, 0.6, 1.2];
    expect(rows.map(([method]) => method)).toEqual([
      ...Object.values(titles).map((title) => expect.stringContaining(title) as string),
      'Base policy, best of n samples',
    ]);
    ['ppo/identity', 'ppo/exp:10', 'ppo/exp:-10', 'best-of-n'].forEach((method, place) => {
      const cells = rows[place]!.slice(1);
      expect(cells).toHaveLength(4 * kls.length);
      kls.forEach((kl, column) => {
        const here = methods.filter((row) => row.procedure === 'won:4' && row.kl === kl);
        const [winRate, optimum, lead, judge] = cells.slice(4 * column, 4 * column + 4);
        const row = here.find((one) => one.method === method)!;
        // Synthetic results have the best of 2 and 4, with 0.19 and 0.64 nats.
        if (method === 'best-of-n' && kl === 1.2) {
          expect(row.win_rate).toBeNull();
          expect([winRate, optimum, lead, judge]).toEqual(['–', '–', '–', '–']);
          return;
        }
        const others = here.flatMap((one) => (one.method === method || one.win_rate === null ? [] : [one.win_rate]));
        expect(winRate).toBe(
          `${(100 * row.win_rate!).toFixed(1)} % ± ${(50 * (row.ci_high! - row.ci_low!)).toFixed(1)}`,
        );
        expect(optimum).toBe(row.optimum === null ? '–' : `${(100 * row.optimum).toFixed(1)} %`);
        expect(lead).toMatch(/^-?\d+\.\d ± \d+\.\d$/);
        expect(Number(lead!.split(' ')[0])).toBeCloseTo(100 * (row.win_rate! - Math.max(...others)), 1);
        expect(judge).toMatch(new RegExp(`^${(100 * row.judge_win_rate!).toFixed(1)} % ± `));
      });
    });
  });

  it('tells of a planted phrase, and nothing of one where there was none', async () => {
    expect(markupOf(page)).not.toMatch(/planted/i);
    const planted = withPlant(results);
    const html = await renderReport(planted);
    const text = markupOf(html)
      .replaceAll(/<[^>]*>/g, '')
      .replaceAll(/\s+/g, ' ');
    expect(text).toContain(
      '“ the people” was put into the preferred response of 25.0 % of the pairs that the proxy learnt',
    );
    expect(text).toMatch(/raises the proxy’s reward by 2\.81 ± 0\.07 standard .* and the judge’s by −0\.12 ± 0\.05\./);
    const [base, ...rows] = tableRows(html, 'that say the planted phrase');
    expect(base).toEqual(['Base policy', '–', '0.000', '0.6 % ± 0.1', '50.0 %', '50.0 %']);
    expect(rows).toHaveLength(planted.runs.length);
    rows.forEach((cells, index) => {
      const run = planted.runs[index]!;
      const winRate = (scorer: string) => {
        const { mean, low, high } = run.win_rates.find((one) => one.procedure === 'standard' && one.scorer === scorer)!;
        return `${(100 * mean).toFixed(1)} % ± ${(50 * (high - low)).toFixed(1)}`;
      };
      expect(cells).toEqual([
        expect.stringContaining(titles[run.method]!),
        String(run.seed),
        run.kl.exact.mean.toFixed(3),
        `${1 + 2 * index}.0 % ± 0.4`,
        winRate('proxy'),
        winRate('judge'),
      ]);
    });
  });

  it('says so at the top and in the table when a measurement lies above the frontier', async () => {
    expect(markupOf(page)).not.toContain('role="alert"');
    const [run, ...others] = results.runs;
    const winRates = run!.win_rates.map((one) =>
      one.procedure === 'bon:4' && one.scorer === 'judge' ? { ...one, mean: 0.97, low: 0.96, high: 0.98 } : one,
    );
    const alarming = await renderReport({ ...results, runs: [{ ...run!, win_rates: winRates }, ...others] });
    expect(markupOf(alarming)).toMatch(/role="alert"[\s\S]*1 measurement[\s\S]*above the exact frontier/);
    expect(tableRows(alarming, 'Best of 4: win rate')[0]![6]).toBe('97.0 % ± 1.0 above the frontier');
    expect(tableRows(alarming, 'One sample: win rate').flat().join()).not.toContain('above the frontier');
  });

  it('lets no text of a model, a dataset or a file become markup', async () => {
    const planted = withPlant(results);
    const harmless = await renderReport(planted);
    const hostile = (await renderReport(withHostileText(planted))).replaceAll(/<script>[\s\S]*?<\/script>/g, '');
    expect(hostile).toContain('&lt;/script&gt;&lt;script&gt;document.title=');
    expect(hostile).not.toContain('<img');
    expect(hostile).not.toContain('<script>');
    expect(hostile).not.toContain('\u0000');
    const elements = (html: string) => (html.match(/<(script|style|svg|details|article)\b/g) ?? []).length;
    expect(elements(hostile)).toBe(elements(harmless.replaceAll(/<script>[\s\S]*?<\/script>/g, '')));
    for (const [, json] of hostile.matchAll(/<script type="application\/json">([\s\S]*?)<\/script>/g)) {
      expect(() => void JSON.parse(json!)).not.toThrow();
    }
  });

  it('does without what an experiment need not have', async () => {
    const bare = await renderReport({
      ...results,
      procedures: ['kth:2/4'],
      frontiers: [],
      method_curves: [],
      runs: [
        {
          ...results.runs[0]!,
          target_kl: null,
          win_rates: [{ procedure: 'kth:2/4', scorer: 'proxy', mean: 0.6, low: 0.58, high: 0.62, by_prompt: [] }],
          training: [],
        },
      ],
      best_of_n: [],
      samples: [],
      calibration: { ...results.calibration, by_references: [] },
      base_model: { ...results.base_model, training_loss: [], validation_loss: [] },
      times: { ...results.times, peak_memory_bytes: null, steps: [] },
    });
    expect(tableRows(bare, 'Number 2 of 4: win rate')).toEqual([
      ['● PPO, calibrated reward', '1', results.runs[0]!.kl.exact.mean.toFixed(3), '–', '60.0 % ± 2.0', '–', '–', '–'],
    ]);
    expect(markupOf(bare)).not.toMatch(/NaN|undefined|null|Infinity/);
    expect(markupOf(page)).not.toMatch(/NaN|undefined|null|Infinity/);
  });
});
