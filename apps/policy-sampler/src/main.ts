import { policySampler, serviceMain } from '@infalign/services';

process.exitCode = await serviceMain(policySampler, {
  args: process.argv.slice(2),
  environment: process.env,
  loadBackend(threads) {
    // Read once, when the library is loaded.
    process.env.TF_NUM_INTRAOP_THREADS = String(threads);
    process.env.TF_NUM_INTEROP_THREADS = '1';
    process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
    return import('@tensorflow/tfjs-node');
  },
  onSignal(end) {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, end);
  },
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
});
