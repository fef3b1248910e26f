import { type Html, html } from '../html.js';
import { type MatchedResults, matchMethods, type MethodRow } from '../matched-methods.js';
import { methodsOf } from '../methods.js';
import type { ExperimentResults, Interval } from '../results.js';
import { compactNumber, decimal, methodTitle, percent, procedureTitle } from '../wording.js';
import { methodLabel } from './method-key.js';
import { scrollingTable, shareWithInterval, withInterval } from './run-table.js';

/** What the methods reach at the target KLs, and how far each is ahead of the best of the others. */
export function matchedSection(results: ExperimentResults): Html[] {
  const matched = matchMethods(results);
  const compared = results.procedures.filter((procedure) =>
    matched.methods.some((row) => row.procedure === procedure && row.win_rate !== null),
  );
  if (compared.length === 0) return [];
  return [
    html`<section id="matched" aria-labelledby="matched-title">
      <h2 id="matched-title">Methods at the same KL</h2>
      <p class="note">
        Runs end near the KL that they asked for, not at it. So each is carried over to it at the same efficiency, the
        share of the possible gain over one half, which changes slowly with KL: between runs in log KL, and beyond the
        first and the last by at most a quarter of its KL. A win rate is the mean over seeds. ± is half the width of the
        95&nbsp;% interval, over prompts, which methods have in common, and over seeds. The lead is over the best of the
        other methods there, in percentage points, by the proxy; where there is no value, the pointer tells why. The
        optimum is what a policy reaches that is exactly optimal for the method's reward: under a procedure that the
        reward is not made for, a policy that is not optimal can reach more.
      </p>
      ${compared.map((procedure) => matchedTable(results, procedure, matched))}
    </section>`,
  ];
}

function matchedTable(results: ExperimentResults, procedure: string, matched: MatchedResults): Html {
  const rows = matched.methods.filter((row) => row.procedure === procedure);
  const kls = [...new Set(rows.map(({ kl }) => kl))];
  const methods = [...new Set(rows.map(({ method }) => method))];
  return scrollingTable(
    `${procedureTitle(procedure)}, at the same KL`,
    ['Trained on', ...kls.flatMap((kl) => [`At ${compactNumber(kl)} nats`, 'Optimum', 'Lead', 'By the judge'])],
    methods.map((method) => [
      html`<th scope="row">
        ${methodsOf(results).includes(method) ? methodLabel(results, method) : methodTitle(method)}
      </th>`,
      ...kls.flatMap((kl) => {
        const row = rows.find((one) => one.method === method && one.kl === kl);
        if (row === undefined || row.win_rate === null) {
          const none = html`<td>–</td>`;
          return [html`<td title="${row?.note ?? 'not measured'}">–</td>`, none, none, none];
        }
        const lead = leadOf(row, rows, matched);
        const judged = row.judge_win_rate;
        return [
          html`<td>${shareWithInterval({ mean: row.win_rate, low: row.ci_low!, high: row.ci_high! })}</td>`,
          html`<td>${row.optimum === null ? '–' : percent(row.optimum)}</td>`,
          html`<td>${lead === undefined ? '–' : withInterval(lead, points)}</td>`,
          judged === null
            ? html`<td>–</td>`
            : html`<td>${shareWithInterval({ mean: judged, low: row.judge_ci_low!, high: row.judge_ci_high! })}</td>`,
        ];
      }),
    ]),
  );
}

function points(share: number): string {
  return decimal(100 * share, 1);
}

/** How far a method is ahead of the best other one at its KL; undefined where it is alone. */
function leadOf(row: MethodRow, rows: readonly MethodRow[], { comparisons }: MatchedResults): Interval | undefined {
  const [best] = rows
    .filter((one) => one.kl === row.kl && one.method !== row.method && one.win_rate !== null)
    .sort((a, b) => b.win_rate! - a.win_rate!);
  if (best === undefined) return undefined;
  for (const { procedure, kl, method, baseline, difference, ci_low, ci_high } of comparisons) {
    if (procedure !== row.procedure || kl !== row.kl) continue;
    if (method === row.method && baseline === best.method) return { mean: difference, low: ci_low, high: ci_high };
    if (method === best.method && baseline === row.method) return { mean: -difference, low: -ci_high, high: -ci_low };
  }
  return undefined;
}
