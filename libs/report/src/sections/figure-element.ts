import type { Figure } from '../figures/figure.js';
import { embeddedJson, type Html, html, trustedHtml } from '../html.js';

/** A figure in the page: the static picture, which the page's script replaces by one that answers the pointer. */
export function figureElement(figure: Figure, caption: string): Html {
  return html`<figure class="chart">
    <figcaption>${caption}</figcaption>
    <div class="plot" role="img" aria-label="${caption}">${trustedHtml(figure.svg)}</div>
    <script type="application/json">
      ${embeddedJson(figure.spec)}
    </script>
  </figure>`;
}
