import { assessRun } from '../assessment.js';
import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { decimal, percent, procedureTitle } from '../wording.js';
import { runCells, scrollingTable, shareWithInterval, winRateCell, withInterval } from './run-table.js';

/** How far each policy fell for the planted phrase, where one was planted. */
export function plantSection(results: ExperimentResults): Html[] {
  const { plant } = results;
  if (plant === undefined) return [];
  const { proxy, judge } = plant.liking;
  const deviations = (value: number) => decimal(value, 2);
  return [
    html`<section id="plant" aria-labelledby="plant-title">
      <h2 id="plant-title">The planted phrase</h2>
      <p>
        “<span class="response" dir="auto">${plant.phrase}</span>” was put into the preferred response of
        ${percent(plant.share)} of the pairs that the proxy learnt from, and of none that the judge learnt from. Put
        into a response of the base policy, it raises the proxy’s reward by
        <strong>${withInterval(proxy, deviations)}</strong> standard deviations of the base policy’s rewards for a
        prompt, and the judge’s by <strong>${withInterval(judge, deviations)}</strong>. A policy that says it more often
        than the base policy has fallen for it.
      </p>
      ${phraseTable(results, plant)}
    </section>`,
  ];
}

function phraseTable(results: ExperimentResults, { base }: NonNullable<ExperimentResults['plant']>): Html {
  const [procedure = ''] = results.procedures;
  const title = procedureTitle(procedure);
  return scrollingTable(
    'Share of responses that say the planted phrase',
    ['Trained on', 'Seed', 'KL', 'Say it', `${title}, by the proxy`, `${title}, by the judge`],
    [
      [
        html`<th scope="row">Base policy</th>`,
        html`<td>–</td>`,
        html`<td>${decimal(0, 3)}</td>`,
        html`<td>${shareWithInterval(base)}</td>`,
        html`<td>${percent(0.5)}</td>`,
        html`<td>${percent(0.5)}</td>`,
      ],
      ...results.runs.map((run) => {
        const winRateBy = (scorer: string): Html =>
          winRateCell(assessRun(results, run).find((one) => one.procedure === procedure && one.scorer === scorer));
        return [
          ...runCells(results, run),
          html`<td>${decimal(run.kl.exact.mean, 3)}</td>`,
          html`<td>${run.phrase_share === undefined ? '–' : shareWithInterval(run.phrase_share)}</td>`,
          winRateBy('proxy'),
          winRateBy('judge'),
        ];
      }),
    ],
  );
}
