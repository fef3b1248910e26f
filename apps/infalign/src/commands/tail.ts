import { Command } from 'commander';
import { InputError } from '@infalign/core';
import { interruptible, Interruption } from '../interruption.js';
import { servicesFileOption, servicesOptions } from '../services-options.js';
import { topicNamed } from '../topic-named.js';
import { recordLine } from '../record-line.js';
import { recordsNow } from '../records-now.js';
import { writeStandardOutput } from '../standard-output.js';

/** `infalign tail`: the records of a topic as they come. */
export function tailCommand(): Command {
  return new Command('tail')
    .summary('show the records of a topic as they come')
    .description(
      `Writes the records of a topic to standard output, one JSON object a line, from the latest on, until it is interrupted.
What could not be decoded appears with the reason.`,
    )
    .argument('<topic>', 'such as rollout.calibrated, or rollout.scored.dead-letter')
    .option('--records <number>', 'begin so many records before the end of each partition', '0')
    .option('--no-follow', 'end at the latest record')
    .addOption(servicesFileOption())
    .addHelpText(
      'after',
      '\nExamples:\n  infalign tail policy.versions\n  infalign tail rollout.scored.dead-letter --records 10 --no-follow',
    )
    .action(tail);
}

async function tail(topicName: string, options: { records: string; follow: boolean; services: string }): Promise<void> {
  if (!/^\d+$/.test(options.records)) throw new InputError('--records must be a whole number');
  const topic = await topicNamed(topicName);
  const { openStream } = await import('@infalign/services');
  const { services, logger } = await servicesOptions(options.services);
  const stream = await openStream('infalign-tail', services, logger);
  try {
    const [starts, ends] = [await stream.startOffsets(topic), await stream.endOffsets(topic)];
    const from = ends.map((end, partition) => Math.max(starts[partition]!, end - Number(options.records)));
    if (!options.follow) {
      for await (const record of recordsNow(stream, topic, from)) await writeStandardOutput(recordLine(record));
      return;
    }
    const reader = await stream.follow(topic, from);
    await interruptible(async (signal) => {
      while (!signal.aborted) {
        const records = await reader.read(500);
        await writeStandardOutput(records.map(recordLine).join(''));
        if (records.length === 0) await reader.changed(500);
      }
    }).catch((error: unknown) => {
      if (!(error instanceof Interruption)) throw error;
    });
    await reader.close();
  } finally {
    await stream.close();
  }
}
