import { loadBackend } from '@infalign/backend';
import { evaluator, serviceMain } from '@infalign/services';

process.exitCode = await serviceMain(evaluator, {
  args: process.argv.slice(2),
  environment: process.env,
  loadBackend: (threads) => loadBackend({ threads, environment: process.env }),
  onSignal(end) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
  },
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
});
