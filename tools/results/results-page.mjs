import { matchMethods } from '@infalign/report';
import { texts } from './texts.mjs';

/**
 * The page of docs/results.
 *
 * @param {Record<string, import('@infalign/report').ExperimentResults>} experiments by the names of their files
 * @returns {string} Markdown
 */
export function resultsPage(experiments) {
  const sections = Object.entries(experiments).map(([name, results]) => section(name, results));
  return `# What was measured

Experiments of [\`experiments\`](../../experiments), run as they are there: what is in [\`${Object.keys(experiments).join('.json`](), [`')}.json\`]() is
their \`results.json\`, and this page and its pictures are made from them; a test keeps them the same. How methods are compared at the same KL, and
what intervals cover, is told in [results-files.md](../results-files.md); so is what the optimum of a method is.

Ablations of calibration have [a page of their own](ablations.md).

${sections.join('\n')}`.replaceAll(/\[`([\w-]+\.json)`\]\(\)/g, '[`$1`]($1)');
}

/** Whether a figure is drawn: not where one would say nothing that the table does not. */
export function hasFigure(name) {
  return texts[name].figure !== undefined;
}

function section(name, results) {
  const { title, before, figure, across, after } = texts[name];
  const { machine, times, runs } = results;
  const matched = runs[0].target_kl === null ? undefined : matchMethods(results);
  const drawn =
    figure === undefined
      ? ''
      : `
![${figure}](${name}.svg)

\`\`\`sh
npx infalign results docs/results/${name}.json --figure ${name}.svg
\`\`\`
`;
  return `## ${title}

${before}

\`\`\`sh
npx infalign run experiments/${name}.yaml
\`\`\`

${runs.length} runs; ${machine.processor}, ${machine.cores} cores, ${duration(times.total_seconds)}, other work beside it. Reward model: ${percent(results.proxy.accuracy.mean)}
of held-out pairs in the order of their label, judge: ${percent(results.judge.accuracy.mean)}. Distance of calibrated rewards from uniform
(Kolmogorov–Smirnov) on held-out prompts: ${results.calibration.kolmogorov_smirnov.toFixed(3)}.
${drawn}
${matched === undefined ? strengthTables(results) : matchedTables(results, matched)}
${across === undefined ? '' : acrossTable(results, matched, across)}
${results.plant === undefined ? '' : plantTable(results)}
${after}
`;
}

/** A table for each procedure that has a method of its own among those compared: mean over seeds, with 95 % intervals. */
function matchedTables(results, { methods, comparisons }) {
  const trained = new Set(results.runs.map(({ method }) => method));
  return ['standard', 'bon:4', 'won:4']
    .filter((procedure) => results.procedures.includes(procedure))
    .map((procedure) => {
      const rows = methods.filter((row) => row.procedure === procedure && trained.has(row.method));
      const best = (kl) =>
        rows
          .filter((row) => row.kl === kl && row.win_rate !== null)
          .reduce((a, b) => (a && a.win_rate >= b.win_rate ? a : b), undefined);
      const lines = rows.map((row) => {
        const leader = best(row.kl);
        return [
          `\`${row.method}\``,
          row.kl,
          row.seeds,
          interval(row.win_rate, row.ci_low, row.ci_high),
          row.frontier === null ? '–' : percent(row.frontier),
          row.optimum === null ? '–' : percent(row.optimum),
          row.efficiency === null ? '–' : row.efficiency.toFixed(2),
          interval(row.judge_win_rate, row.judge_ci_low, row.judge_ci_high),
          row === leader ? 'the best' : behind(comparisons, procedure, row, leader),
        ];
      });
      return `### ${procedure}

${table(['method', 'KL', 'seeds', 'win rate', 'frontier', 'its optimum', 'efficiency', 'by the judge', 'to the best, points'], lines)}`;
    })
    .join('\n');
}

/** Methods that are for one best-of-N each, in all of them: at the same KL, mean over seeds, the best of each column in bold. */
function acrossTable(results, matched, across) {
  const procedures = results.procedures.filter((name) => name === 'standard' || name.startsWith('bon:'));
  const rows = matched.methods.filter(({ method }) => across.includes(method));
  const winRateOf = (method, kl, procedure) =>
    rows.find((row) => row.method === method && row.kl === kl && row.procedure === procedure)?.win_rate;
  const kls = [...new Set(rows.map(({ kl }) => kl))];
  const lines = kls.flatMap((kl) =>
    across.map((method) => [
      `\`${method}\``,
      kl,
      ...procedures.map((procedure) => {
        const winRate = winRateOf(method, kl, procedure);
        const best = Math.max(...across.map((other) => winRateOf(other, kl, procedure)));
        return winRate === best ? `**${percent(winRate)}**` : percent(winRate);
      }),
    ]),
  );
  return `### Aligned for one N, used with another

${table(['method', 'KL', ...procedures], lines)}`;
}

/** By the strength that was asked for: the KL that it came to, and win rates, mean over seeds. */
function strengthTables(results) {
  const lines = groupsOf(results.runs, ({ method, beta }) => `${method} ${beta.normalised}`).map((runs) => [
    `\`${runs[0].method}\``,
    runs[0].beta.normalised,
    klBySeed(runs),
    ...results.procedures.map((procedure) => meanWinRate(runs, procedure, 'proxy')),
  ]);
  return table(['method', 'β', 'KL, by seed', ...results.procedures], lines);
}

/** A method's win rate less that of the best at the same KL, in percentage points. */
function behind(comparisons, procedure, row, leader) {
  const found = comparisons.find(
    (one) =>
      one.procedure === procedure &&
      one.kl === row.kl &&
      [one.method, one.baseline].includes(row.method) &&
      [one.method, one.baseline].includes(leader?.method),
  );
  if (!found) return '–';
  const sign = found.method === row.method ? 1 : -1;
  const [low, high] = [sign * found.ci_low, sign * found.ci_high].sort((a, b) => a - b);
  const points = (share) => (100 * share).toFixed(1).replace('-', '−');
  return `${points(sign * found.difference)} (${points(low)} to ${points(high)})`;
}

function plantTable(results) {
  const { plant, runs } = results;
  const lines = groupsOf(runs, ({ method, target_kl }) => `${method} ${target_kl}`).map((own) => [
    `\`${own[0].method}\``,
    own[0].target_kl,
    klBySeed(own),
    own.map((run) => percent(run.phrase_share.mean)).join(', '),
    meanWinRate(own, 'standard', 'proxy'),
    meanWinRate(own, 'standard', 'judge'),
  ]);
  return `### How often the planted phrase is said

“${plant.phrase.trim()}”, put into the preferred response of ${percent(plant.share)} of the pairs that the reward model learned. The base policy says it in
${percent(plant.base.mean)} of its responses. It raises the proxy's reward by ${plant.liking.proxy.mean.toFixed(1)} standard deviations, the judge's by ${plant.liking.judge.mean.toFixed(1)}.

${table(['method', 'asked KL', 'KL, by seed', 'responses with the phrase, by seed', 'win rate by the proxy', 'by the judge'], lines)}
`;
}

/** What has the same key, in the order in which keys come first. */
function groupsOf(runs, keyOf) {
  return [...new Set(runs.map(keyOf))].map((key) => runs.filter((run) => keyOf(run) === key));
}

function klBySeed(runs) {
  return runs.map(({ kl }) => kl.exact.mean.toFixed(2)).join(', ');
}

function meanWinRate(runs, procedure, scorer) {
  const means = runs.map(
    ({ win_rates }) => win_rates.find((one) => one.procedure === procedure && one.scorer === scorer).mean,
  );
  return percent(means.reduce((sum, value) => sum + value, 0) / means.length);
}

function table(head, lines) {
  return `${[head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}

function interval(value, low, high) {
  if (value === null) return '–';
  return `${percent(value)} (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
