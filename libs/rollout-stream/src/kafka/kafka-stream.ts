import { randomUUID } from 'node:crypto';
import { InputError } from '@infalign/core';
import { InvalidRecord, messageOf } from '../encoded-record.js';
import type { RolloutStream, StreamWriter } from '../rollout-stream.js';
import type { Topic } from '../topic.js';
import { explained } from './broker-errors.js';
import { troubleLog, whenSeen, type StreamContext } from './context.js';
import { ensureTopics } from './ensure-topics.js';
import { joinAsMember } from './group-member.js';
import { createNetwork, type Network } from './network.js';
import { committedOffsets, endsOf, type Patience } from './offsets.js';
import { checkedSettings, type KafkaSettings, type KafkaStreamOptions } from './options.js';
import { openWriter } from './stream-writer.js';
import { followTopic, readAll, readTable } from './topic-reader.js';

/**
 * Opens rollout streams over Kafka. Topics that are missing are made.
 *
 * A transaction that was acknowledged is on all replicas in sync; one that was not leaves no trace. While brokers are away,
 * what needs them waits; what is wrong for good is an error.
 *
 * @throws InputError if an option is not valid, the brokers cannot be reached or refuse access, or topics that exist are not
 *   as they have to be
 */
export async function openKafkaStream(options: KafkaStreamOptions): Promise<RolloutStream> {
  const settings = checkedSettings(options);
  const { brokers, connection, loopbackOnly } = settings;
  const network = createNetwork({ brokers, connection, loopbackOnly });
  const known = new Set(settings.topics.map(({ name }) => name));
  const topicName = ({ name }: Topic): string => {
    if (!known.has(name)) throw new Error(`Topic ${name} is not one of those that the stream was opened with.`);
    return `${settings.prefix}${name}`;
  };
  try {
    const opening = AbortSignal.timeout(settings.openingTimeoutMs);
    let trouble: unknown;
    const patience: Patience = { signal: opening, onTrouble: (error) => (trouble = error ?? trouble) };
    const partitions = await ensureTopics(network, settings, topicName, patience).catch((error: unknown) => {
      if (!opening.aborted) throw explained(error);
      const addresses = brokers.map(({ host, port }) => `${host}:${port}`).join(', ');
      throw new InputError(
        `The Kafka brokers ${addresses} cannot be used: ${messageOf(trouble ?? error)}. Check that they run, and that the ` +
          'addresses and the security settings are theirs.',
        { cause: trouble ?? error },
      );
    });
    return kafkaStream(network, settings, topicName, partitions);
  } catch (error) {
    await network.close();
    throw error;
  }
}

function kafkaStream(
  network: Network,
  settings: KafkaSettings,
  topicName: (topic: Topic) => string,
  partitions: number,
): RolloutStream {
  const closing = new AbortController();
  const { signal } = closing;
  const unseen: StreamContext['unseen'] = new Map();
  const context: StreamContext = {
    settings,
    network,
    partitions,
    topicName,
    producer: {
      topicName,
      transactionTimeoutMs: settings.transactionTimeoutMs,
      requestTimeoutMs: settings.connection.requestTimeoutMs,
      unseen,
    },
    unseen,
    signal,
    onTrouble: troubleLog(settings.log),
  };
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const patience: Patience = { signal, onTrouble: context.onTrouble };
  /** What is left and closed before the connections are. */
  const open = new Set<() => Promise<void>>();
  /** What groups read, by their names. */
  const groups = new Map<string, string>();

  function closedWithStream<T extends object, K extends keyof T & string>(opened: T, close: K): T {
    const original = (opened[close] as () => Promise<void>).bind(opened);
    const once = (): Promise<void> => {
      open.delete(once);
      return original();
    };
    open.add(once);
    return { ...opened, [close]: once };
  }

  let appending: Promise<StreamWriter> | undefined;

  const stream: RolloutStream = {
    partitions,

    async join(group, topic) {
      const reads = groups.get(group) ?? topic.name;
      if (reads !== topic.name) {
        throw new Error(`Group ${group} reads ${reads}: its members cannot read ${topic.name}.`);
      }
      groups.set(group, topic.name);
      return closedWithStream(await joinAsMember(context, group, topic), 'leave');
    },

    follow: async (topic, from) => closedWithStream(await followTopic(context, topic, from), 'close'),
    writer: async (name) => closedWithStream(await openWriter(context, name), 'close'),

    async append(outputs) {
      // Nobody else has this name: what fails leaves nothing that another could run into.
      const writing = (appending ??= stream.writer(`append-${randomUUID()}`));
      try {
        await (await writing).append(outputs);
      } catch (error) {
        if (!(error instanceof InvalidRecord) && appending === writing) {
          appending = undefined;
          void writing.then((writer) => writer.close()).catch(() => undefined);
        }
        throw error;
      }
    },

    readAll: (topic, from) => readAll(context, topic, from),
    table: (topic, partition) => readTable(context, topic, partition),

    async committed(group, topic) {
      await whenSeen(context);
      const offsets = await committedOffsets(network, `${settings.prefix}${group}`, topicName(topic), all, patience);
      const starts = offsets.includes(-1) ? await stream.startOffsets(topic) : [];
      return offsets.map((offset, partition) => (offset === -1 ? starts[partition]! : offset));
    },

    async startOffsets(topic) {
      return endsOf(network, topicName(topic), all, 'first', patience);
    },

    async endOffsets(topic) {
      await whenSeen(context);
      return endsOf(network, topicName(topic), all, 'last', patience);
    },

    async close() {
      await Promise.all([...open].map((close) => close()));
      closing.abort();
      await network.close();
    },
  };
  return stream;
}
