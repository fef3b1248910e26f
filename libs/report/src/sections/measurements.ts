import type { ReportFigures } from '../figures/report-figures.js';
import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { methodsOf } from '../methods.js';
import { counted, decimal, grouped, halfWidth, percent } from '../wording.js';
import { figureElement } from './figure-element.js';
import { methodLabel } from './method-key.js';

/** How near calibrated rewards of the base policy are to the uniform distribution. */
export function calibrationSection({ calibration }: ExperimentResults, figures: ReportFigures): Html {
  return html`<section id="calibration" aria-labelledby="calibration-title">
    <h2 id="calibration-title">Calibration</h2>
    <p>
      ${counted(calibration.rollouts_per_prompt, 'fresh base rollout')} for each of
      ${counted(calibration.prompts, 'held-out prompt')}, calibrated with K =
      ${grouped(calibration.references_per_prompt)} others: Kolmogorov–Smirnov distance from uniform
      <strong>${decimal(calibration.kolmogorov_smirnov, 4)}</strong>, mean absolute error
      <strong>${decimal(calibration.mean_absolute_error, 4)}</strong>. Dashed: perfect calibration.
    </p>
    <div class="panels">${figures.calibration.map(({ title, figure }) => figureElement(figure, title))}</div>
  </section>`;
}

/** What happened while the policies trained. */
export function trainingSection(results: ExperimentResults, figures: ReportFigures): Html[] {
  if (figures.training.length === 0) return [];
  return [
    html`<section id="training" aria-labelledby="training-title">
      <h2 id="training-title">Training</h2>
      <p>
        One line a run, measured on its own batches of rollouts; the pointer picks one out. Dashed: the target KLs. Long
        runs are averaged over neighbouring iterations.
      </p>
      <ul class="key">
        ${methodsOf(results).map((method) => html`<li>${methodLabel(results, method)}</li>`)}
      </ul>
      <div class="panels small">${figures.training.map(({ title, figure }) => figureElement(figure, title))}</div>
    </section>`,
  ];
}

/** The models that everything started from. */
export function modelsSection(results: ExperimentResults, figures: ReportFigures): Html {
  const { base_model, proxy, judge, reward_agreement } = results;
  const last = base_model.validation_loss.at(-1);
  const rewardModelRow = (title: string, model: typeof proxy) =>
    html`<tr>
      <th scope="row">${title}</th>
      <td>${grouped(model.parameters)}</td>
      <td>${grouped(model.training_pairs)}</td>
      <td>${grouped(model.held_out_pairs)}</td>
      <td title="${percent(model.accuracy.low)} to ${percent(model.accuracy.high)}">
        ${percent(model.accuracy.mean)} <span class="interval">± ${decimal(100 * halfWidth(model.accuracy), 1)}</span>
      </td>
    </tr>`;
  return html`<section id="models" aria-labelledby="models-title">
    <h2 id="models-title">Base model, reward model and judge</h2>
    <div class="panels two">
      <div>
        <p>
          ${grouped(base_model.parameters)} weights, ${grouped(base_model.vocabulary)} tokens of vocabulary,
          ${
            base_model.training_tokens === 0
              ? 'pretrained, and taken as it is.'
              : `trained on ${grouped(base_model.training_tokens)} tokens of ${results.dataset.name}.`
          }
          ${last === undefined ? '' : `Validation loss ${decimal(last.loss, 3)} nats a token.`}
        </p>
        ${figures.baseModel === undefined ? '' : figureElement(figures.baseModel, 'Loss of the base model')}
      </div>
      <div>
        <p>
          Both are trained on preference pairs, on different ones. Accuracy is the share of held-out pairs that they
          order as the label does. They agree on <strong>${percent(reward_agreement)}</strong> of held-out pairs.
        </p>
        <div class="scroll" tabindex="0" role="region" aria-label="Reward models">
          <table>
            <thead>
              <tr>
                <th scope="col"></th>
                <th scope="col">Weights</th>
                <th scope="col">Pairs</th>
                <th scope="col">Held out</th>
                <th scope="col">Accuracy</th>
              </tr>
            </thead>
            <tbody>
              ${rewardModelRow('Proxy', proxy)} ${rewardModelRow('Judge', judge)}
            </tbody>
          </table>
        </div>
      </div>
    </div>
  </section>`;
}
