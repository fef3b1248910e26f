import { healthMain } from './health-main.js';

process.exitCode = await healthMain({
  args: process.argv.slice(2),
  servicesFile: process.env.INFALIGN_SERVICES,
  print: (text) => process.stdout.write(text),
  printError: (text) => process.stderr.write(text),
});
