import { parseArgs } from 'node:util';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, script } from '../workspace/workspace.mjs';
import { courseFigure } from './figures.mjs';
import { defaults } from './defaults.mjs';
import { simulate } from './simulate.mjs';
import { group, judgeAll, longestAllowed, partitions, scenarios, stagesWith } from './system.mjs';

// `npm run scaling`: draws what happens with the defaults into docs/images; with `-- --judge`, judges all settings (a minute).
await script(() => {
  const { values } = parseArgs({ options: { judge: { type: 'boolean', default: false } } });
  if (values.judge) process.stdout.write('work  polling  cooldown  longest wait  replica hours  rebalances\n');
  for (const { settings, longest, replicaHours, rebalances } of values.judge ? judgeAll() : []) {
    const { secondsOfWork, pollingSeconds, cooldownSeconds } = settings;
    process.stdout.write(
      `${secondsOfWork} s  ${pollingSeconds} s  ${cooldownSeconds} s  ${longest} s${longest > longestAllowed ? ' (too long)' : ''}  ${replicaHours.toFixed(1)}  ${rebalances}\n`,
    );
  }
  const folder = join(root, 'docs', 'images');
  mkdirSync(folder, { recursive: true });
  for (const [title, scenario] of Object.entries(scenarios)) {
    const courses = simulate({ stages: stagesWith(defaults), partitions, group }, scenario);
    const name = title.replace(/^an? /, '').replaceAll(' ', '-').toLowerCase();
    writeFileSync(join(folder, `scaling-${name}.svg`), courseFigure(title, courses));
  }
});
