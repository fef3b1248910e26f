import type { Assessment } from '../assessment.js';
import { type Html, html } from '../html.js';
import type { ExperimentResults, Interval, RunResults } from '../results.js';
import { decimal, halfWidth, percent } from '../wording.js';
import { methodLabel } from './method-key.js';

/** The cells that a row begins with: how the run was trained, and its seed. */
export function runCells(results: ExperimentResults, run: RunResults): Html[] {
  return [
    html`<th scope="row" title="${run.name}">${methodLabel(results, run.method)}</th>`,
    html`<td>${run.seed}</td>`,
  ];
}

/** A win rate, marked where no policy can reach it. */
export function winRateCell(assessment: Assessment | undefined): Html {
  if (assessment === undefined) return html`<td>–</td>`;
  const text = shareWithInterval(assessment.winRate);
  if (!assessment.aboveFrontier) return html`<td>${text}</td>`;
  return html`<td class="above">${text} <strong>above the frontier</strong></td>`;
}

/** A share as a percentage, with its interval in percentage points. */
export function shareWithInterval(share: Interval): Html {
  return withInterval(share, percent, (value) => decimal(100 * value, 1));
}

/** A mean ± half the width of its interval, whose ends are shown when the pointer rests on it. */
export function withInterval(value: Interval, format: (value: number) => string, formatWidth = format): Html {
  return html`<span title="${format(value.low)} to ${format(value.high)}"
    >${format(value.mean)} <span class="interval">± ${formatWidth(halfWidth(value))}</span></span
  >`;
}

/** A table that scrolls on its own where the page is too narrow for it. */
export function scrollingTable(caption: string, columns: readonly string[], rows: readonly (readonly Html[])[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col">${column}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (cells) =>
            html`<tr>
              ${cells}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}
