import { texts } from './texts.mjs';

/**
 * The page docs/results/ablations.md.
 *
 * @param {object} ablations what docs/results/ablations.json holds
 * @returns {string} Markdown
 */
export function ablationsPage(ablations) {
  const { machine, seconds, threads, settings, experiment, results } = ablations;
  const total = Object.values(seconds).reduce((sum, each) => sum + each, 0);
  return `# Ablations

Measured on the finished experiment [\`experiments/${experiment}.yaml\`](../../experiments/${experiment}.yaml); what is in [\`ablations.json\`](ablations.json) is
what this command gave, and this page and its pictures are made from it; a test keeps them the same (after new results:
\`npx vitest run --project ablations -u\`).

\`\`\`sh
npm run -s ablations -- runs/${experiment} --json > docs/results/ablations.json
\`\`\`

${machine.processor}, ${machine.cores} cores, other work beside it; ${threads === 1 ? 'one thread' : `${threads} threads`}, ${Math.round(total)} s in all, of which ${Math.round(seconds.rollouts)} s for
${(results['calibration-error'].prompts * (settings.references.at(-1) + settings.manyRollouts + settings.calibratedRollouts)).toLocaleString('en')} fresh rollouts of the base policy that all share. Prompts are held out: nothing was trained on them. Intervals cover 95 %,
by the bootstrap over prompts; distances from uniform have none. Seconds of sampling, scoring and training are of one processor. C is a rollout's true calibrated reward, taken from
${settings.manyRollouts.toLocaleString('en')} other rollouts of its prompt; what these leave uncertain is taken out of all errors.

${Object.keys(texts)
  .map((name) => ablationSection(name, ablations))
  .join('\n')}`;
}

/**
 * The section of one ablation.
 *
 * @param {keyof typeof texts} name
 * @param {object} ablations with the results of it
 * @returns {string} Markdown
 */
export function ablationSection(name, { results, experiment }) {
  const { title, before, figure, after } = texts[name];
  return `## ${title}

${before}

\`\`\`sh
npm run -s ablations -- runs/${experiment} --only ${name}
\`\`\`
${figure === undefined ? '' : `\n![${figure}](${figureFile(name)})\n`}
${tables[name](results[name])}
${after}
`;
}

/** The name of an ablation's picture among the results. */
export function figureFile(name) {
  return `ablations-${name}.svg`;
}

const tables = {
  'calibration-error': calibrationErrorTable,
  'finite-k-bias': finiteKBiasTable,
  'calibrated-reward-model': calibratedRewardModelTable,
  drift: driftTables,
  efficiency: efficiencyTables,
  'logit-bias': logitBiasTables,
};

function calibrationErrorTable({ rows, kolmogorov_smirnov_of_many, many_rollouts_per_prompt, tied_pairs }) {
  return `${table(
    ['K', 'error of Ĉ', 'exact', 'distance from uniform', '1/(K + 1)', 'sampling, s a prompt', 'scoring, s a prompt'],
    rows.map((row) => [
      row.references,
      interval(row.error, 4),
      row.exact_error.toFixed(4),
      row.kolmogorov_smirnov.toFixed(3),
      (1 / (row.references + 1)).toFixed(3),
      row.sampling_seconds.toFixed(3),
      row.scoring_seconds.toFixed(3),
    ]),
  )}
Of these rollouts, the C that ${many_rollouts_per_prompt.toLocaleString('en')} others give are ${kolmogorov_smirnov_of_many.toFixed(3)} from uniform: so much is chance. Of pairs of rewards, a share of ${tied_pairs.toPrecision(1)} tie.
`;
}

function finiteKBiasTable({ rows }) {
  return table(
    ['Φ', 'K', 'corrected', 'bias', 'exact bias', 'error', 'exact error'],
    rows.map((row) => [
      `\`${row.transformation}\``,
      row.references,
      row.corrected ? 'yes' : 'no',
      interval(row.bias, 3),
      signed(row.exact_bias, 3),
      row.error.toFixed(3),
      row.exact_error.toFixed(3),
    ]),
  );
}

const estimateNames = {
  model: 'calibrated reward model',
  pool: 'references of all training prompts together',
  half: '½, whatever the response',
};

function calibratedRewardModelTable(result) {
  const { rows, training_rollouts, training_prompts, epochs, training_seconds, seconds_per_response } = result;
  const { squared_error_below_pool: below } = result;
  return `${table(
    ['calibrated by', 'error', 'as good as K =', 'distance from uniform'],
    rows.map((row) => [
      estimateNames[row.estimate],
      interval(row.error, 4),
      interval(row.equal_references, 1),
      row.kolmogorov_smirnov.toFixed(3),
    ]),
  )}
Trained on ${training_rollouts.toLocaleString('en')} rollouts to ${training_prompts} prompts, ${epochs} epochs: ${Math.round(training_seconds)} s. A response takes ${(1000 * seconds_per_response).toFixed(2)} ms. The
model's mean squared error is less than that of the references together by ${interval(below, 4)}, prompt by prompt.
`;
}

/** The scenarios of drift, in words. */
export const scenarioNames = {
  none: 'nothing changes',
  'reward-model': 'the judge for the reward model, under its version',
  'reward-model-announced': 'the judge for the reward model, announced',
  temperature: 'the reference policy at another temperature',
  'aligned-policy': 'an aligned policy becomes the reference policy',
  'new-prompts-hold': 'new prompts, held',
  'new-prompts-pool': 'new prompts, pooled',
};

function driftTables({ scenarios, window, references_per_round: round, ...others }) {
  const { false_alarm_rate, temperature, aligned_policy, prompts } = others;
  const known = scenarios[0].rows.map(({ references_since }) => references_since);
  const told = [0, round, window / 2, window, 2 * window].filter((references) => known.includes(references));
  const at = (rows, references) => rows.find((row) => row.references_since === references);
  const error = table(
    ['error of calibrated rewards', 'offline', ...told.slice(1).map((references) => `after ${references}`)],
    scenarios.map(({ scenario, rows }) => [
      scenarioNames[scenario],
      ...told.map((references) => {
        const row = at(rows, references);
        return row.error === null ? 'held' : interval(row.error, 3);
      }),
    ]),
  );
  const uniform = table(
    ['distance from uniform', 'of C', 'offline', ...told.slice(1).map((references) => `after ${references}`)],
    scenarios.map(({ scenario, kolmogorov_smirnov_of_many, rows }) => [
      scenarioNames[scenario],
      kolmogorov_smirnov_of_many.toFixed(3),
      ...told.map((references) => at(rows, references).kolmogorov_smirnov?.toFixed(3) ?? 'held'),
    ]),
  );
  const tests = told.filter((references) => references > 0 && references % window === 0);
  const alarms = table(
    ['prompts whose drift test has alarmed', ...tests.map((references) => `after ${references}`)],
    scenarios.map(({ scenario, rows }) => [
      scenarioNames[scenario],
      ...tests.map((references) => percent(at(rows, references).alarmed)),
    ]),
  );
  return `${prompts} prompts, a window of ${window} references, drift tests with a false alarm rate of ${false_alarm_rate}; the other temperature is ${temperature}, the aligned
policy \`${aligned_policy}\`. “After n” is after n references of each prompt since the change.

${error}
${uniform}
${alarms}`;
}

const policyNames = {
  'one seed': 'one seed, on average',
  'mean of the weights': 'the mean of the weights of all seeds',
  'logit bias': 'the base policy with a logit bias',
};

const noiseNames = {
  correlation_of_one: 'correlation with C of one seed, on average',
  correlation_of_mean: 'of the mean of all seeds',
  correlation_of_endless_mean: 'of the mean of endless seeds',
  rest_in_common: 'correlation between the rests of two seeds',
};

const sumNames = {
  'calibrated reward': 'C itself',
  'one seed': 'log-ratio of one seed, on average',
  'mean of all seeds': 'the mean log-ratio of all seeds',
};

function efficiencyTables({ prefixes, additive, sums, policies, noise, ...others }) {
  const { runs, method, target_kl, prompts } = others;
  const known = table(
    ['tokens known', 'determined', 'of which the critics explain'],
    prefixes.rows.map((row) => [
      row.tokens,
      interval(row.determined, 3),
      row.explained_by_critic === null ? 'no critic' : interval(row.explained_by_critic, 2),
    ]),
  );
  const learned = table(
    ['', 'is a sum over tokens', 'correlation of the sum with C', 'of the rest with C'],
    sums.rows.map(({ of, sum_share, correlation_of_sum, correlation_of_rest }) => [
      sumNames[of],
      interval(sum_share, 2),
      interval(correlation_of_sum, 2),
      interval(correlation_of_rest, 2),
    ]),
  );
  const chance = table(
    ['log-ratios to the base policy', ''],
    Object.entries(noise).map(([name, value]) => [noiseNames[name], interval(value, 2)]),
  );
  const measured = table(
    ['policy', 'KL', 'procedure', 'win rate', 'above one seed, points', 'efficiency'],
    policies.rows.flatMap(({ policy, kl, procedures }) =>
      procedures.map(({ procedure, win_rate, above_one_seed, efficiency }) => [
        policyNames[policy],
        kl.mean.toFixed(3),
        procedure,
        points(win_rate),
        policy === 'one seed' ? '' : points(above_one_seed),
        interval(efficiency, 2),
      ]),
    ),
  );
  const [{ eta }] = policies.rows.slice(-1);
  return `The runs are those of \`${method}\` at a target KL of ${target_kl}: ${runs.length === 1 ? 'one seed' : `${runs.length} seeds`}; ${prompts} prompts.

**What the first tokens determine**, of the variance of C: by ${prefixes.continuations} continuations of each of ${prefixes.rows[0].prefixes} beginnings.

${known}
**What is a sum over tokens**: weights of tokens, fitted on ${additive.training_rollouts.toLocaleString('en')} rollouts of ${additive.training_prompts} training prompts, explain ${interval(additive.explained, 3)} of the
variance of the raw reward within held-out prompts. The logit bias is ${eta.toFixed(2)} times these weights, in standard deviations of the reward.

${measured}
**What policies have learned**: the part of their log-ratios that is a sum over tokens, by weights that are fitted on ${sums.training_prompts} training prompts, as a share of their variance
within held-out prompts; and how this part and the other go with C. The line of C is the most that a sum can do.

${learned}
**What is noise**: log-ratios of rollouts of the base policy, and their rests when their mean given C is taken out.

${chance}`;
}

function logitBiasTables({ rows, baseline, ...others }) {
  const { prompts, rollouts_per_prompt, training_prompts, training_rollouts } = others;
  const procedures = rows[0].procedures.map(({ procedure }) => procedure);
  const byProcedure = procedures.map((procedure, index) =>
    table(
      [procedure, 'KL', 'win rate', `above ${baseline}, points`, 'efficiency'],
      rows.map(({ transformation, kl, procedures: own }) => {
        const { win_rate, above_baseline, efficiency } = own[index];
        return [
          `\`${transformation}\``,
          kl.toFixed(3),
          points(win_rate),
          transformation === baseline ? '' : points(above_baseline),
          interval(efficiency, 2),
        ];
      }),
    ),
  );
  return `Fitted on ${training_rollouts.toLocaleString('en')} reference rollouts of ${training_prompts} training prompts; measured on ${prompts} held-out prompts, by ${rollouts_per_prompt} rollouts each.

${byProcedure.join('\n')}`;
}

function points({ mean, low, high }) {
  return interval({ mean: 100 * mean, low: 100 * low, high: 100 * high }, 1);
}

function table(head, lines) {
  return `${[head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`;
}

function interval({ mean, low, high }, digits) {
  return `${signed(mean, digits)} (${signed(low, digits)} to ${signed(high, digits)})`;
}

function signed(value, digits) {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? text.replace('-', '') : text).replace('-', '−');
}

function percent(share) {
  return `${(100 * share).toFixed(0)} %`;
}
