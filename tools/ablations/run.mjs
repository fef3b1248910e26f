// Measures ablations on a finished experiment. `npm run ablations -- --help`
import { parseArgs } from 'node:util';
import { loadBackend } from '@infalign/backend';
import { machine } from '../bench/machine.mjs';
import { knownNames } from '../workspace/options.mjs';
import { script } from '../workspace/workspace.mjs';
import { ablationSection } from './ablations-page.mjs';
import { openFinishedExperiment } from './finished-experiment.mjs';
import { ablations, measureAblations } from './measure.mjs';
import { formatAblations } from './results-text.mjs';
import { settings } from './settings.mjs';

const help = `Usage: npm run -s ablations -- FOLDER [OPTIONS]

Measures ablations on what \`infalign run\` has left in FOLDER: base policy, reward model, judge, reference
rollouts, prompts, and policies. Nothing is written to it. Build first: npm run build.

  calibration-error         how far calibration by K references is from the truth, and what K references cost
  finite-k-bias             the bias of transformed rewards by K references, without and with its correction
  calibrated-reward-model   a model that predicts calibrated rewards, so that a new prompt needs no references
  drift                     online recalibration beside offline, when reward model, reference policy or prompts change
  efficiency                where the efficiency of trained policies goes: of the runs of ppo/identity at the lowest target KL
  logit-bias                transformations compared without training: by the base policy with a logit bias for each

All take about ten minutes on one core.

Options:
  --only NAME       one of them, or several with commas between them
  --json            write one JSON object: {experiment, seed, machine, threads, settings, seconds, results}
  --help            show this

The committed results are docs/results/ablations.json, and docs/results/ablations.md is made from them.
`;

/** So that processor seconds are those of one core. */
const threads = 1;

await script(async () => {
  const { values, positionals } = parseArgs({
    options: {
      only: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(help);
    return;
  }
  if (positionals.length !== 1) throw new Error('Name the folder of one finished experiment (see --help).');
  const names = values.only === undefined ? Object.keys(ablations) : knownNames('only', values.only, ablations);
  await loadBackend({ threads, environment: process.env });
  const finished = openFinishedExperiment(positionals[0]);
  const tell = (text) => process.stderr.write(`${text}\n`);
  const measured = await measureAblations(finished, settings, names, tell);
  finished.dispose();
  const { name, seed } = finished.experiment;
  const results = { experiment: name, seed, machine: machine(), threads, settings, ...measured };
  process.stdout.write(
    values.json ? formatAblations(results) : names.map((each) => ablationSection(each, results)).join('\n'),
  );
});
