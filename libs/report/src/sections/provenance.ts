import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { byteSize, counted, duration, grouped, listed } from '../wording.js';

/** All that it takes to do it again, and how long it took. */
export function provenanceSection(results: ExperimentResults): Html {
  const { dataset, machine, times } = results;
  const seeds = [...new Set(results.runs.map((run) => run.seed))].map(String);
  return html`<section id="provenance" aria-labelledby="provenance-title">
    <h2 id="provenance-title">Settings, seeds, machine and times</h2>
    <div class="panels two">
      <dl>
        ${entry('infalign', results.version)} ${entry('Seed of splits and base models', String(results.seed))}
        ${entry('Seeds of runs', seeds.length === 0 ? '–' : listed(seeds))}
        ${entry(
          'Prompts',
          `${grouped(dataset.training_prompts)} to train on, ${grouped(dataset.calibration_prompts)} for calibration, ` +
            `${grouped(dataset.evaluation_prompts)} for evaluation`,
        )}
        ${entry('Machine', `${machine.processor}, ${counted(machine.cores, 'core')}, ${byteSize(machine.memory_bytes)}`)}
        ${entry('System', machine.platform)}
        ${Object.entries(machine.software).map(([name, version]) => entry(name, version))}
        ${entry('Started', times.started_at)} ${entry('Took', duration(times.total_seconds))}
        ${times.peak_memory_bytes === null ? '' : entry('Most memory used', byteSize(times.peak_memory_bytes))}
      </dl>
      <div class="scroll" tabindex="0" role="region" aria-label="Times of steps">
        <table>
          <caption>
            Time of each step
          </caption>
          <tbody>
            ${times.steps.map(
              ({ name, seconds }) =>
                html`<tr>
                  <th scope="row">${name}</th>
                  <td>${duration(seconds)}</td>
                </tr>`,
            )}
          </tbody>
        </table>
      </div>
    </div>
    <details>
      <summary>The experiment file, with every default</summary>
      <pre>${results.settings}</pre>
    </details>
  </section>`;
}

function entry(term: string, description: string): Html {
  return html`<div>
    <dt>${term}</dt>
    <dd>${description}</dd>
  </div>`;
}
