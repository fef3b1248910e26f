import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { drawReportFigures } from './figures/report-figures.js';
import { type Html, html, trustedHtml } from './html.js';
import { pageScript } from './page-script.js';
import { pageStyle } from './page-style.js';
import type { ExperimentResults } from './results.js';
import { headlineSection } from './sections/headline.js';
import { matchedSection } from './sections/matched.js';
import { calibrationSection, modelsSection, trainingSection } from './sections/measurements.js';
import { plantSection } from './sections/plant.js';
import { provenanceSection } from './sections/provenance.js';
import { runsSection } from './sections/runs.js';
import { samplesSection } from './sections/samples.js';

/**
 * The report as one HTML file that loads nothing: pictures stand in it as SVG, and Vega beside them to make them answer the
 * pointer. Whatever models and files wrote is shown as text; a content security policy lets nothing but the report's own
 * scripts run, and forbids every connection.
 */
export async function renderReport(results: ExperimentResults): Promise<string> {
  const [figures, vega] = await Promise.all([drawReportFigures(results), readVega()]);
  const hashes = [vega, pageScript].map((script) => `'sha256-${createHash('sha256').update(script).digest('base64')}'`);
  // Vega compiles its expressions with Function, which is what 'unsafe-eval' allows; text of others is data to it, never an
  // expression.
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-eval' ${hashes.join(' ')}`;
  const training = trainingSection(results, figures);
  const samples = samplesSection(results);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${trustedHtml(policy)}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="infalign ${results.version}" />
        <title>${results.name} · infalign</title>
        <style>
          ${trustedHtml(pageStyle)}
        </style>
      </head>
      <body>
        ${headlineSection(results, figures)} ${matchedSection(results)} ${runsSection(results)}
        ${[...plantSection(results), ...samples]} ${training} ${calibrationSection(results, figures)}
        ${modelsSection(results, figures)} ${provenanceSection(results)}
        <footer>
          Made by infalign ${results.version}. Figures are drawn by Vega (BSD-3-Clause, © University of Washington
          Interactive Data Lab), which stands in this file.
        </footer>
        <div id="tooltip" role="tooltip"></div>
        ${[vega, pageScript].map(scriptElement)}
      </body>
    </html> `;
  return page.markup;
}

/** To the byte: its hash is what lets it run. */
function scriptElement(script: string): Html {
  return trustedHtml(`<script>${script}</script>`);
}

/** The browser build of Vega, with its licence, as a script element can hold it. */
async function readVega(): Promise<string> {
  const build = new URL('./', import.meta.resolve('vega'));
  const [script, licence] = await Promise.all([
    readFile(new URL('vega.min.js', build), 'utf8'),
    readFile(new URL('../LICENSE', build), 'utf8'),
  ]);
  return `/*\n${licence.trim()}\n*/\n${script}`.replaceAll('</script', '<\\/script');
}
