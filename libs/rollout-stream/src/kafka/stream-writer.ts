import { messageOf } from '../encoded-record.js';
import { TransactionFailed, WriterFenced, type StreamWriter } from '../rollout-stream.js';
import type { OutgoingRecord } from '../topic.js';
import { ProducerFenced } from './broker-errors.js';
import { encodeOutputs, type StreamContext } from './context.js';
import { openTransactionalProducer } from './transactional-producer.js';

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
  });
  let end: Error | undefined;
  /** One transaction after another, in the order in which they were asked for. */
  let last: Promise<void> = Promise.resolve();

  async function append(outputs: readonly OutgoingRecord[]): Promise<void> {
    if (end) throw end;
    const records = encodeOutputs(context, outputs);
    try {
      await producer.transact(records);
    } catch (error) {
      end =
        error instanceof ProducerFenced
          ? new WriterFenced(`Another writer ${name} has been opened: ${error.message}`, { cause: error })
          : new TransactionFailed(`A transaction of writer ${name} has failed: ${messageOf(error)}`, { cause: error });
      if (end instanceof TransactionFailed) await producer.abandon();
      throw end;
    }
  }

  return {
    append(outputs) {
      const appended = last.then(() => append(outputs));
      last = appended.catch(() => undefined);
      return appended;
    },
    async close() {
      await last;
      end ??= new WriterFenced(`The writer ${name} has been closed.`);
      closing.abort();
      await lane.close();
    },
  };
}
