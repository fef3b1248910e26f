// Upgrades and loses services while an experiment runs on them. `node tools/upgrade/run.mjs --help`
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { kafkaAvailable } from '../kafka/index.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { script } from '../workspace/workspace.mjs';

const help = `Usage: npm run -s test:upgrade -- [OPTIONS] [SCENARIO…]

Runs a small experiment in one process, and again on services (one broker, two samplers, two scorers, one of each other
service) to which something happens while it is under way. Then counts, as test:chaos does: every rollout has to be
sampled, scored, calibrated and learned from exactly once, each record has to carry what was written before it, and
records, policy and results have to be the same as in one process, bit for bit. The exit code is 0 only if that is so.

Whether the last release computes the same numbers is found out by running the experiment in one process of it too. If it
does not, its rollouts are others than those of one process (same_numbers: false), and all but the last is asked for.

Scenarios (default: all):
  upgrade   services of the last release are replaced one by one by those that are here; the learner first, which is put
            back once: new learner with old samplers, old learner with records of the new one
  outage    everything is killed at once, and lost but for the topics and the checkpoint store
  restore   the topics are lost as well, and restored from a backup of some iterations before

Options:
  --undisturbed PATH   where the undisturbed run is written, and found the next time
  --keep               leave the temporary folder, with all logs, in any case
  --json               write the counts as one JSON object
  --help               show this
`;

await script(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      undisturbed: { type: 'string' },
      keep: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const kafka = kafkaAvailable();
  if (!kafka.ok) throw new Error(kafka.missing.join('\n'));
  buildWorkspace();
  const { iterations, scenarios } = await import('./scenarios.mjs');
  const names = positionals.length > 0 ? positionals : Object.keys(scenarios);
  for (const name of names) {
    if (!(name in scenarios)) throw new Error(`${name}: it is ${Object.keys(scenarios).join(', ')}.`);
  }
  const { provisionReleasedVersion } = await import('./released-version.mjs');
  const released = names.includes('upgrade') ? provisionReleasedVersion() : undefined;

  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  const folder = mkdtempSync(join(tmpdir(), 'infalign-upgrade-'));
  const start = performance.now();
  const tell = (text) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stderr.write(`[${seconds.padStart(7)} s] ${text}\n`);
  };
  let passed = false;
  try {
    const { experimentFile } = await import('../chaos/settings.mjs');
    const { runUndisturbed } = await import('../chaos/undisturbed.mjs');
    const experiment = join(folder, 'experiment.yaml');
    writeFileSync(experiment, experimentFile(iterations));
    tell('the undisturbed run');
    const undisturbed = await runUndisturbed(experiment, resolve(values.undisturbed ?? join(folder, 'undisturbed')));
    const all = {};
    for (const name of names) {
      tell(`scenario: ${name}`);
      const began = performance.now();
      const { findings, ...counts } = await scenarios[name]({ folder, experiment, undisturbed, released, tell });
      for (const finding of findings) tell(`wrong: ${finding}`);
      all[name] = { ...counts, seconds: Math.round((performance.now() - began) / 1000) };
      if (name === 'upgrade') all[name].contracts_differ = released.contractsDiffer;
    }
    passed = Object.values(all).every(isFlawless);
    process.stdout.write(values.json ? `${JSON.stringify(all)}\n` : described(all));
    tell(passed ? 'nothing lost, nothing doubled, nothing changed' : 'the test has failed');
  } finally {
    if (values.keep || !passed) tell(`everything is in ${folder}`);
    else rmSync(folder, { recursive: true, force: true });
  }
  return passed ? 0 : 1;
});

function isFlawless(counts) {
  const { flaws, not_ended, ended_by_themselves = 0, replaced, old_samplers_new_learner, same_numbers = true } = counts;
  const isUpgradeUnderLoad = replaced === undefined || old_samplers_new_learner >= 5;
  const isAsUndisturbed = !same_numbers || (counts.same_policy && counts.same_results);
  return flaws + not_ended + ended_by_themselves === 0 && isAsUndisturbed && isUpgradeUnderLoad;
}

function described(all) {
  return Object.entries(all)
    .map(([scenario, counts]) => {
      const lines = Object.entries(counts).map(([name, value]) => `  ${name.padEnd(26)}${value ?? 'not counted'}\n`);
      return `${scenario}\n${lines.join('')}`;
    })
    .join('');
}
