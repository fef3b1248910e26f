import { type Html, html } from '../html.js';
import type { ExperimentResults } from '../results.js';
import { decimal } from '../wording.js';
import { methodLabel } from './method-key.js';

type Sample = ExperimentResults['samples'][number];
type PolicySample = Sample['policies'][number];

/** What the models wrote, before and after. */
export function samplesSection(results: ExperimentResults): Html[] {
  if (results.samples.length === 0) return [];
  return [
    html`<section id="samples" aria-labelledby="samples-title">
      <h2 id="samples-title">Responses, before and after</h2>
      <p>
        To held-out prompts: of all responses that a policy gave, the best, the median and the worst by proxy reward.
        The calibrated reward is the share of base responses to the same prompt that the response beats.
      </p>
      ${results.samples.map((sample, index) => promptElement(results, sample, index === 0))}
    </section>`,
  ];
}

function promptElement(results: ExperimentResults, sample: Sample, open: boolean): Html {
  const summary = html`<summary><span class="prompt" dir="auto">${sample.prompt}</span></summary>`;
  const policies = html`<div class="policies">${sample.policies.map((policy) => policyElement(results, policy))}</div>`;
  return open
    ? html`<details class="sample" open>${summary} ${policies}</details>`
    : html`<details class="sample">${summary} ${policies}</details>`;
}

function policyElement(results: ExperimentResults, policy: PolicySample): Html {
  return html`<article class="policy">
    <h3>${policyTitle(results, policy.run)}</h3>
    <ol>
      ${policy.responses.map(
        (response) =>
          html`<li>
            <p class="response" dir="auto">${response.text}</p>
            <p class="rewards">
              <span class="rank">${response.rank}</span>
              <meter min="0" max="1" value="${decimal(response.calibrated_reward, 3)}"></meter>
              calibrated ${decimal(response.calibrated_reward, 2)} · proxy ${decimal(response.proxy_reward, 2)} · judge
              ${decimal(response.judge_reward, 2)}
            </p>
          </li>`,
      )}
    </ol>
  </article>`;
}

function policyTitle(results: ExperimentResults, runName: string | null): Html {
  const run = results.runs.find((one) => one.name === runName);
  if (run === undefined) return html`Base policy`;
  return html`${methodLabel(results, run.method)}
    <span class="detail">KL ${decimal(run.kl.exact.mean, 2)} nats, seed ${run.seed}</span>`;
}
