import { seriesCount, seriesMarkers } from '../figures/palette.js';
import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { methodsOf } from '../methods.js';
import { methodTitle } from '../wording.js';

/** A method by its colour, its marker and its name. */
export function methodLabel(results: ExperimentResults, method: string): Html {
  const index = methodsOf(results).indexOf(method);
  const { character } = seriesMarkers[index % seriesMarkers.length]!;
  return html`<span class="method"
    ><span class="mark series-${index % seriesCount}" aria-hidden="true">${character}</span>
    ${methodTitle(method)}</span
  >`;
}
