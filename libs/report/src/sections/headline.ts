import { assessRun, pointsAboveFrontier } from '../assessment.js';
import type { ReportFigures } from '../figures/report-figures.js';
import { type Html, html } from '../html.js';
import type { ExperimentResults, Scorer } from '../results.js';
import { hasEstimatedOptimum, hasSeveralSeeds, methodsOf } from '../methods.js';
import { counted, decimal, grouped, listed, percent, procedureTitle, methodTitle } from '../wording.js';
import { figureElement } from './figure-element.js';
import { methodLabel } from './method-key.js';

/** What was run, what came of it, and the picture of it. */
export function headlineSection(results: ExperimentResults, figures: ReportFigures): Html {
  return html`<header>
      <p class="kicker">InfAlign-CTRL · experiment ${results.name}</p>
      <h1>What a nat of KL buys</h1>
      <p class="lead">${summary(results)}</p>
    </header>
    ${alarm(results)}
    <section id="frontier" aria-labelledby="frontier-title">
      <h2 id="frontier-title">Win rate against KL, beside the exact limit</h2>
      ${checks(results)} ${frontierPanels(results, figures)}
    </section>`;
}

function summary(results: ExperimentResults): string {
  const { runs, dataset, base_model, samples_per_prompt, procedures } = results;
  const methods = methodsOf(results).map(methodTitle);
  const strengths = new Set(runs.map((run) => run.target_kl ?? run.beta.normalised)).size;
  const seeds = new Set(runs.map((run) => run.seed)).size;
  return (
    `${counted(runs.length, 'policy', 'policies')} (${methods.join('; ')}: ` +
    `${counted(strengths, 'KL strength')}, ${counted(seeds, 'seed')}) started from a language model of ` +
    `${grouped(base_model.parameters)} weights trained on ${dataset.name}. Each is compared with that model on ` +
    `${counted(dataset.evaluation_prompts, 'held-out prompt')} × ${counted(samples_per_prompt, 'response')}, as it would ` +
    `be used: ${listed(procedures.map((procedure) => procedureTitle(procedure).toLowerCase()))}.`
  );
}

function alarm(results: ExperimentResults): Html[] {
  const points = pointsAboveFrontier(results);
  if (points.length === 0) return [];
  return [
    html`<div class="alarm" role="alert">
      <strong>${counted(points.length, 'measurement')} above the exact frontier, beyond the interval.</strong>
      No policy can be there: something in the measurement is wrong, and these results should not be used before it is
      found.
      <ul>
        ${points.map(
          ({ run, procedure, scorer, winRate, frontier }) =>
            html`<li>
              ${run}, ${procedureTitle(procedure).toLowerCase()} by the ${scorer}: ${percent(winRate.mean)}, where
              ${frontier === undefined ? 'the frontier is not known' : `the frontier is ${percent(frontier)}`}
            </li>`,
        )}
      </ul>
    </div>`,
  ];
}

interface Check {
  readonly state: 'good' | 'bad' | 'neutral';
  readonly figure: string;
  readonly words: string;
}

function checks(results: ExperimentResults): Html {
  return html`<ul class="checks">
    ${[limitCheck(results), movedCheck(results), ...targetCheck(results), ...gapCheck(results)].map(
      ({ state, figure, words }) =>
        html`<li class="${state}"><span class="figure">${figure}</span> <span class="words">${words}</span></li>`,
    )}
  </ul>`;
}

function limitCheck(results: ExperimentResults): Check {
  const above = pointsAboveFrontier(results).length;
  const compared = results.runs.flatMap((run) => assessRun(results, run)).filter((one) => one.frontier !== undefined);
  return {
    state: above === 0 ? (compared.length > 0 ? 'good' : 'neutral') : 'bad',
    figure: `${above} of ${compared.length}`,
    words: 'measurements lie above the exact frontier beyond their intervals',
  };
}

function movedCheck(results: ExperimentResults): Check {
  const moved = results.runs.filter((run) =>
    run.win_rates.filter((winRate) => winRate.scorer === 'proxy').every((winRate) => winRate.low > 0.5),
  );
  return {
    state: moved.length === results.runs.length ? 'good' : 'bad',
    figure: `${moved.length} of ${results.runs.length}`,
    words: 'policies beat the base policy under every procedure, beyond their intervals (proxy)',
  };
}

function targetCheck(results: ExperimentResults): Check[] {
  const departures = results.runs.flatMap(({ target_kl, kl }) =>
    target_kl === null || target_kl === 0 ? [] : [Math.abs(kl.exact.mean - target_kl) / target_kl],
  );
  if (departures.length === 0) return [];
  const largest = Math.max(...departures);
  return [
    {
      state: largest <= 0.25 ? 'good' : 'bad',
      figure: percent(largest),
      words: 'is the largest departure of a measured KL from its target',
    },
  ];
}

function gapCheck(results: ExperimentResults): Check[] {
  const gaps = results.runs.flatMap((run) => {
    const by = (scorer: Scorer, procedure: string) =>
      run.win_rates.find((one) => one.scorer === scorer && one.procedure === procedure)?.mean;
    return results.procedures.flatMap((procedure) => {
      const proxy = by('proxy', procedure);
      const judge = by('judge', procedure);
      return proxy === undefined || judge === undefined ? [] : [proxy - judge];
    });
  });
  if (gaps.length === 0) return [];
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  return [
    {
      state: 'neutral',
      figure: `${decimal(100 * mean, 1)} points`,
      words: 'is how far the judge sees less gain than the proxy, on average: reward hacking',
    },
  ];
}

function frontierPanels(results: ExperimentResults, figures: ReportFigures): Html {
  const procedures = results.procedures.map(procedureTitle);
  const panels = (scorer: Scorer) =>
    html`<div class="panels by-${scorer}">
      ${figures.frontiers[scorer].map((figure, index) => figureElement(figure, procedures[index] ?? ''))}
    </div>`;
  return html`<div class="frontier">
    <input type="radio" name="scorer" id="by-proxy" checked />
    <label for="by-proxy">By the proxy, the reward trained on</label>
    <input type="radio" name="scorer" id="by-judge" />
    <label for="by-judge">By the judge, which nothing trained on</label>
    <ul class="key">
      ${methodsOf(results).map((method) => html`<li>${methodLabel(results, method)}</li>`)}
      <li><span class="line solid" aria-hidden="true"></span> exact frontier</li>
      <li><span class="line dashed" aria-hidden="true"></span> exact optimum of a method</li>
      <li><span class="mark cross" aria-hidden="true">×</span> base policy, best of n samples</li>
    </ul>
    ${panels('proxy')} ${panels('judge')}
    <p class="note">
      ${
        hasSeveralSeeds(results)
          ? 'A point is a trained policy; the pointer tells its intervals. A line joins the means over seeds, and its band goes from the least to the largest of them, each at the mean KL with its own efficiency.'
          : 'A point is a trained policy with 95\u00a0% bootstrap intervals over prompts both ways.'
      }
      Lines start at the base policy, (0, 50&nbsp;%). KL is the exact per-token one along sampled responses. The solid
      line is computed, not measured: with calibrated rewards the best win rate at a KL depends on neither the reward
      nor the model, so no policy can lie above it. Each scorer both chooses among the N responses and decides the
      comparison.
      ${
        results.procedures.some((procedure) => procedure !== 'standard' && !procedure.startsWith('bon:'))
          ? 'For one sample and best of N it is the proven optimum; for the other procedures it is the only stationary solution there is.'
          : ''
      }
      ${rangeOfFrontier(results)}
      ${
        hasEstimatedOptimum(results)
          ? 'The optimum of the raw reward is estimated, from rewards of the base policy on calibration prompts.'
          : ''
      }
    </p>
  </div>`;
}

function rangeOfFrontier(results: ExperimentResults): string {
  const beyond = results.runs.flatMap((run) => assessRun(results, run)).filter((one) => one.frontier === undefined);
  return beyond.length === 0
    ? ''
    : `${counted(beyond.length, 'measurement')} could not be compared with it: it was not computed that far, or not at all.`;
}
