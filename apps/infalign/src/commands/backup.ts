import { resolve } from 'node:path';
import { writeFileAtomically } from '@infalign/checkpoint';
import { Command } from 'commander';
import { servicesFileOption, servicesOptions } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

interface BackupOptions {
  out: string;
  json?: boolean;
  services: string;
}

/** `infalign backup`: what the runs of services can be restored from. */
export function backupCommand(): Command {
  return new Command('backup')
    .summary('write what the runs of services can be restored from into a file')
    .description(
      `Writes the runs, the policy versions that they have announced and their reference distributions into a file, while
services work or not. With it and the checkpoint store, infalign restore brings the runs back where the topics are lost. A
file that is there is replaced, whole or not at all.`,
    )
    .requiredOption('--out <file>', 'the file to write')
    .option('--json', 'write what was backed up as one JSON object')
    .addOption(servicesFileOption())
    .addHelpText('after', '\nExample:\n  infalign backup --out backup.jsonl')
    .action(backup);
}

async function backup(options: BackupOptions): Promise<void> {
  const file = resolve(options.out);
  const { openStream } = await import('@infalign/services');
  const { backUp, parseBackup } = await import('@infalign/pipeline');
  const { services, logger } = await servicesOptions(options.services);
  const stream = await openStream('infalign-backup', services, logger);
  try {
    const text = await backUp(stream);
    const { runs, policyVersions, calibrationStates } = parseBackup(text, file);
    writeFileAtomically(file, text);
    const counts = {
      runs: runs.length,
      policyVersions: policyVersions.length,
      calibrationStates: calibrationStates.length,
    };
    await writeStandardOutput(
      options.json === true
        ? `${JSON.stringify({ file, ...counts })}\n`
        : `${counts.runs} runs with ${counts.policyVersions} policy versions and ${counts.calibrationStates} reference distributions ` +
            `are in ${file}\n`,
    );
  } finally {
    await stream.close();
  }
}
