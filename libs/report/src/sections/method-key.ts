import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { transformationsOf } from '../transformations.js';
import { transformationTitle } from '../wording.js';

const SERIES_MARKS = ['●', '■', '▲', '◆', '▼', '▬'];
const SERIES_COLOURS = 8;

/** A transformation by its colour, its marker and its name. */
export function methodLabel(results: ExperimentResults, transformation: string): Html {
  const index = transformationsOf(results).indexOf(transformation);
  const mark = SERIES_MARKS[index % SERIES_MARKS.length] ?? '●';
  return html`<span class="method"
    ><span class="mark series-${index % SERIES_COLOURS}" aria-hidden="true">${mark}</span> ${transformationTitle(
      transformation,
    )}</span
  >`;
}
