import { script } from '../workspace/workspace.mjs';
import { judgeAll, longestAllowed } from './system.mjs';

// `npm run scaling`: judges all settings of autoscaling by the simulation, best first (some seconds).
await script(() => {
  process.stdout.write('work  polling  cooldown  longest wait  replica hours  rebalances\n');
  for (const { settings, longest, replicaHours, rebalances } of judgeAll()) {
    const { secondsOfWork, pollingSeconds, cooldownSeconds } = settings;
    process.stdout.write(
      `${secondsOfWork} s  ${pollingSeconds} s  ${cooldownSeconds} s  ${longest} s${longest > longestAllowed ? ' (too long)' : ''}  ${replicaHours.toFixed(1)}  ${rebalances}\n`,
    );
  }
});
