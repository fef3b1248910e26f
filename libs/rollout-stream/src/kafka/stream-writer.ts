import { InputError } from '@infalign/core';
import { messageOf, type EncodedRecord } from '../encoded-record.js';
import { TransactionFailed, WriterFenced, type StreamWriter } from '../rollout-stream.js';
import { ProducerFenced } from './broker-errors.js';
import { encodeOutputs, type StreamContext } from './context.js';
import { openTransactionalProducer, type TransactionalProducer } from './transactional-producer.js';

/** What is to be appended, and who waits for it. */
interface Waiting {
  readonly records: readonly EncodedRecord[];
  readonly done: () => void;
  readonly failed: (error: Error) => void;
}

/** Takes over a name, and with it what its earlier writers have left open. */
export async function openWriter(context: StreamContext, name: string): Promise<StreamWriter> {
  const lane = context.network.lane();
  const closing = new AbortController();
  const producer = await openTransactionalProducer(`${context.settings.prefix}writer-${name}`, {
    ...context.producer,
    network: context.network,
    lane,
    signal: AbortSignal.any([context.signal, closing.signal]),
    onTrouble: context.onTrouble,
  }).catch(async (error: unknown) => {
    await lane.close();
    throw error;
  });
  let end: Error | undefined;
  let waiting: Waiting[] = [];
  let busy = false;
  let written: Promise<void> = Promise.resolve();

  /** Those who wait are served together, in their order: one transaction takes as long for many as for one. */
  async function write(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      const together = waiting;
      waiting = [];
      end ??= await transact(
        producer,
        name,
        together.flatMap(({ records }) => records),
      );
      for (const { done, failed } of together) {
        if (end) failed(end);
        else done();
      }
    }
    // Whoever comes from here on begins anew.
    busy = false;
  }

  return {
    append: (outputs) =>
      new Promise((done, failed) => {
        const records = encodeOutputs(context, outputs);
        waiting.push({ records, done, failed });
        if (!busy) written = write();
      }),
    async close() {
      await written;
      end ??= new WriterFenced(`The writer ${name} has been closed.`);
      closing.abort();
      await lane.close();
    },
  };
}

/** @returns why nothing can be written any more, if it cannot */
async function transact(
  producer: TransactionalProducer,
  name: string,
  records: readonly EncodedRecord[],
): Promise<Error | undefined> {
  try {
    await producer.transact(records);
    return undefined;
  } catch (error) {
    if (error instanceof ProducerFenced) {
      return new WriterFenced(`Another writer ${name} has been opened: ${error.message}`, { cause: error });
    }
    await producer.abandon();
    if (error instanceof InputError) return error;
    return new TransactionFailed(`A transaction of writer ${name} has failed: ${messageOf(error)}`, { cause: error });
  }
}
