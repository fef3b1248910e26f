import { assessRun } from '../assessment.js';
import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { compactNumber, decimal, percent, procedureTitle } from '../wording.js';
import { runCells, scrollingTable, winRateCell, withInterval } from './run-table.js';

/** Every run in numbers: its KL, and its win rates under each procedure. */
export function runsSection(results: ExperimentResults): Html {
  return html`<section id="runs" aria-labelledby="runs-title">
    <h2 id="runs-title">Runs</h2>
    <p class="note">
      ± is half the width of the 95&nbsp;% bootstrap interval over prompts; the ends are shown when the pointer rests on
      a number. Efficiency is the share of the possible gain over one half that was reached: (win rate − ½) / (frontier
      − ½), by the proxy. The gap is proxy less judge, in percentage points: what the policy learnt about the proxy
      alone.
    </p>
    ${klTable(results)} ${results.procedures.map((procedure) => winRateTable(results, procedure))}
  </section>`;
}

function klTable(results: ExperimentResults): Html {
  return scrollingTable(
    'KL from the base policy, nats a response',
    ['Trained on', 'Seed', 'Target', 'β normalised', 'β raw', 'KL exact', 'KL k1', 'KL k3'],
    results.runs.map((run) => [
      ...runCells(results, run),
      html`<td>${run.target_kl === null ? '–' : compactNumber(run.target_kl)}</td>`,
      html`<td>${compactNumber(run.beta.normalised)}</td>`,
      html`<td>${run.beta.raw === null ? '–' : compactNumber(run.beta.raw)}</td>`,
      ...[run.kl.exact, run.kl.k1, run.kl.k3].map(
        (kl) => html`<td>${withInterval(kl, (value) => decimal(value, 3))}</td>`,
      ),
    ]),
  );
}

function winRateTable(results: ExperimentResults, procedure: string): Html {
  return scrollingTable(
    `${procedureTitle(procedure)}: win rate over the base policy`,
    ['Trained on', 'Seed', 'KL', 'Frontier', 'By the proxy', 'Efficiency', 'By the judge', 'Gap'],
    results.runs.map((run) => {
      const assessments = assessRun(results, run).filter((one) => one.procedure === procedure);
      const proxy = assessments.find((one) => one.scorer === 'proxy');
      const judge = assessments.find((one) => one.scorer === 'judge');
      const frontier = (proxy ?? judge)?.frontier;
      const gap =
        proxy === undefined || judge === undefined ? '–' : decimal(100 * (proxy.winRate.mean - judge.winRate.mean), 1);
      return [
        ...runCells(results, run),
        html`<td>${decimal(run.kl.exact.mean, 3)}</td>`,
        html`<td>${frontier === undefined ? '–' : percent(frontier)}</td>`,
        winRateCell(proxy),
        html`<td>${proxy?.efficiency === undefined ? '–' : decimal(proxy.efficiency, 2)}</td>`,
        winRateCell(judge),
        html`<td>${gap}</td>`,
      ];
    }),
  );
}
