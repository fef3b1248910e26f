/* global AbortController */
import { openKafkaStream, outgoing, serveStage } from '@infalign/rollout-stream';
import { bytesTopic, payloads } from './bytes-topic.mjs';

/** Records that are appended in one call, and calls that wait at the same time: their bytes are what a stage's batch has. */
const appendBytes = 2 ** 20;
const appendsAtOnce = 8;

/** The stream against one broker. @param {string} broker */
export function ourStream(broker) {
  const open = (topics) => openKafkaStream({ brokers: [broker], clientId: 'bench', topics, partitions: 6 });

  async function withStream(topics, use) {
    const stream = await open(topics);
    try {
      return await use(stream);
    } finally {
      await stream.close();
    }
  }

  /** Appends records. @returns seconds, from the first append to the last acknowledgement */
  async function append(stream, topic, records, recordBytes) {
    const each = Math.max(1, Math.floor(appendBytes / recordBytes));
    const values = payloads(each, recordBytes);
    const start = performance.now();
    let sent = 0;
    await Promise.all(
      Array.from({ length: appendsAtOnce }, async () => {
        while (sent < records) {
          const batch = values.slice(0, Math.min(each, records - sent));
          sent += batch.length;
          await stream.append(batch.map((value) => outgoing(topic, value)));
        }
      }),
    );
    return (performance.now() - start) / 1000;
  }

  return {
    /** Makes the topic. @param {string} name */
    make: (name) => withStream([bytesTopic(name)], () => undefined),

    /** @returns {Promise<number>} records a second, once warm */
    async produce({ topic: name, records, warmUp, recordBytes }) {
      const topic = bytesTopic(name);
      return withStream([topic], async (stream) => {
        await append(stream, topic, warmUp, recordBytes);
        return records / (await append(stream, topic, records, recordBytes));
      });
    },

    /** @returns {Promise<number>} records a second, from the moment on when it may fetch */
    async consume({ topic: name, records }) {
      const topic = bytesTopic(name);
      return withStream([topic], async (stream) => {
        const start = performance.now();
        const reader = await stream.follow(topic);
        for (let seen = 0; seen < records;) {
          const batch = await reader.read(500);
          seen += batch.length;
          if (batch.length === 0) await reader.changed(1000);
        }
        return records / ((performance.now() - start) / 1000);
      });
    },

    /** Copies the records of a topic. @returns {Promise<number>} records a second */
    async copy({ topic: name, records }) {
      const [from, to] = [bytesTopic(name), bytesTopic(`${name}-copy`)];
      return withStream([from, to], async (stream) => {
        const end = new AbortController();
        let copied = 0;
        const start = performance.now();
        await serveStage(stream, copying(from, to), {
          signal: end.signal,
          onProgress({ consumed }) {
            if ((copied += consumed) >= records) end.abort();
          },
        });
        return copied / ((performance.now() - start) / 1000);
      });
    },

    /**
     * Milliseconds from the append of each record until it can be read behind stages that follow one another, each with
     * connections of its own.
     *
     * @returns {Promise<number[]>}
     */
    async latencies({ name, stages, recordsPerSecond, warmUpSeconds, seconds }) {
      const topics = Array.from({ length: stages + 1 }, (_, index) => bytesTopic(`${name}-${index}`));
      const end = new AbortController();
      const streams = await Promise.all(Array.from({ length: stages + 2 }, () => open(topics)));
      const serving = streams
        .slice(2)
        .map((stream, index) => serveStage(stream, copying(topics[index], topics[index + 1]), { signal: end.signal }));
      const failed = Promise.all(serving).then(() => []);
      const measured = (async () => {
        const [sending, receiving] = streams;
        const reader = await receiving.follow(topics[stages]);
        const warmUp = warmUpSeconds * recordsPerSecond;
        const total = warmUp + seconds * recordsPerSecond;
        const sent = [];
        const found = [];
        const appending = (async () => {
          const start = performance.now();
          const appended = [];
          for (let index = 0; index < total; index++) {
            const wait = start + (index * 1000) / recordsPerSecond - performance.now();
            if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
            const payload = Buffer.alloc(1024);
            payload.writeUInt32BE(index);
            sent.push(performance.now());
            appended.push(sending.append([outgoing(topics[0], payload)]));
          }
          await Promise.all(appended);
        })();
        for (let seen = 0; seen < total;) {
          const batch = await reader.read(500);
          for (const { value } of batch) {
            const index = value.readUInt32BE();
            if (index >= warmUp) found.push(performance.now() - sent[index]);
          }
          seen += batch.length;
          if (batch.length === 0) await reader.changed(1000);
        }
        await appending;
        return found;
      })();
      try {
        return await Promise.race([measured, failed]);
      } finally {
        end.abort();
        await Promise.all(serving);
        await Promise.all(streams.map((stream) => stream.close()));
      }
    },
  };
}

function copying(from, to) {
  return {
    name: `copying-${from.name}`,
    input: from,
    maxBatchRecords: 500,
    open: async () => ({
      process: async (batch) => ({
        outputs: batch.map(({ value }) => outgoing(to, value)),
        consumed: batch.length,
      }),
    }),
  };
}
