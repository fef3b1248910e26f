import { InputError } from '@infalign/core';
import { Command } from 'commander';
import { servicesFileOption, servicesOptions } from '../services-options.js';
import { writeStandardOutput } from '../standard-output.js';

/** `infalign topics`: makes the topics before services use them. */
export function topicsCommand(): Command {
  return new Command('topics')
    .summary('make the topics of the services that are missing')
    .description(
      `Makes the topics that services use, where they are missing, and checks that those that are there can be used and have as
many partitions as the services file says. Services make missing topics too; this is for doing it before any of them starts.`,
    )
    .addOption(servicesFileOption())
    .option('--json', 'write one JSON object')
    .addHelpText('after', '\nExamples:\n  infalign topics --services /etc/infalign/services.yaml')
    .action(topics);
}

async function topics(options: { services: string; json?: boolean }): Promise<void> {
  const { allTopics } = await import('@infalign/rollout-stream');
  const { openStream } = await import('@infalign/services');
  const { services, logger } = await servicesOptions(options.services);
  const { prefix, partitions: wanted } = services.stream;
  const stream = await openStream('infalign-topics', services, logger);
  const { partitions } = stream;
  await stream.close();
  if (partitions !== wanted) {
    throw new InputError(
      `the topics have ${partitions} partitions, and ${options.services} says ${wanted}: ` +
        `set stream.partitions: ${partitions}, or use another stream.prefix`,
    );
  }
  const names = allTopics().map(({ name }) => `${prefix}${name}`);
  await writeStandardOutput(
    options.json === true
      ? `${JSON.stringify({ partitions, topics: names })}\n`
      : `${names.length} topics with ${partitions} partitions each are there.\n`,
  );
}
