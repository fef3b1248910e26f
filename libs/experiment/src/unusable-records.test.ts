import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deadLetterTopic, openEmbeddedStream, outgoing, topics, type Topic } from '@infalign/rollout-stream';
import { createLogger } from '@infalign/telemetry';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { warnOfUnusableRecords } from './unusable-records.js';

describe('a warning of unusable records', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'unusable-'));
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  });
  afterEach(() => {
    vi.useRealTimers();
    rmSync(folder, { recursive: true, force: true });
  });

  it('names each topic once, and not for what was there before', async () => {
    const lines: string[] = [];
    const logger = createLogger({ service: 'test', level: 'info', destination: { write: (line) => lines.push(line) } });
    const stream = openEmbeddedStream(folder, { partitions: 2 });
    const refuse = (topic: Topic): Promise<void> =>
      stream.append([
        outgoing(deadLetterTopic(topic), {
          topic: topic.name,
          partition: 0,
          offset: 1,
          reason: 'reward: NaN',
          payload: Buffer.from('x'),
        }),
      ]);
    const later = async (): Promise<void> => {
      await vi.advanceTimersByTimeAsync(5000);
      // What was looked at is known when this has been looked at too.
      await stream.endOffsets(topics.runs);
      await new Promise((resolve) => setTimeout(resolve, 20));
    };
    await refuse(topics.rolloutSampled);
    const end = warnOfUnusableRecords(stream, logger);
    await later();
    expect(lines).toEqual([]);
    await refuse(topics.rolloutScored);
    await later();
    await refuse(topics.rolloutScored);
    await later();
    await refuse(topics.rolloutSampled);
    await later();
    expect(lines.map((line) => (JSON.parse(line) as { topic: string }).topic)).toEqual([
      deadLetterTopic(topics.rolloutScored).name,
      deadLetterTopic(topics.rolloutSampled).name,
    ]);
    end();
    await refuse(topics.samplingRequests);
    await later();
    expect(lines).toHaveLength(2);
    await stream.close();
  });
});
