import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { methodsOf } from '../methods.js';
import { methodTitle } from '../wording.js';

const SERIES_MARKS = ['●', '■', '▲', '◆', '▼', '▬'];
const SERIES_COLOURS = 8;

/** A method by its colour, its marker and its name. */
export function methodLabel(results: ExperimentResults, method: string): Html {
  const index = methodsOf(results).indexOf(method);
  const mark = SERIES_MARKS[index % SERIES_MARKS.length] ?? '●';
  return html`<span class="method"
    ><span class="mark series-${index % SERIES_COLOURS}" aria-hidden="true">${mark}</span> ${methodTitle(method)}</span
  >`;
}
