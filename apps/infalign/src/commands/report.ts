import { resolve } from 'node:path';
import { Command } from 'commander';
import { softwareVersions } from '../software-versions.js';
import { writeStandardOutput } from '../standard-output.js';

/** `infalign report`: writes the results of a finished experiment anew. */
export function reportCommand(): Command {
  return new Command('report')
    .summary('write results.json and report.html of a finished experiment anew')
    .description('Writes results.json and report.html anew from what the steps of a finished experiment have left.')
    .argument('<folder>', 'folder of the experiment, as given to run --out')
    .option('--json', 'write the paths as one JSON object')
    .addHelpText(
      'after',
      `
Example:
  infalign report runs/quickstart`,
    )
    .action(async (folder: string, options: { json?: boolean }) => {
      const { openExperiment, writeReport } = await import('@infalign/experiment');
      const out = resolve(folder);
      const finished = await writeReport({ experiment: openExperiment(out), out, ...softwareVersions() });
      await writeStandardOutput(
        options.json === true
          ? `${JSON.stringify(finished)}\n`
          : `Results: ${finished.results}\nReport:  ${finished.report}\n`,
      );
    });
}
