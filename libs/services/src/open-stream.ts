import { readFile } from 'node:fs/promises';
import { InputError } from '@infalign/core';
import { openKafkaStream, type RolloutStream } from '@infalign/rollout-stream';
import type { Services } from '@infalign/run-config';
import type { Logger } from '@infalign/telemetry';

/**
 * Opens the rollout stream that services share, making the topics that are missing.
 *
 * @param clientId who connects, as brokers see it
 * @throws InputError if the brokers cannot be used, or a file named in the settings cannot be read
 */
export async function openStream(clientId: string, { stream }: Services, logger: Logger): Promise<RolloutStream> {
  const { tls, sasl } = stream;
  return await openKafkaStream({
    clientId,
    brokers: stream.brokers,
    prefix: stream.prefix,
    partitions: stream.partitions,
    replicationFactor: stream.replication,
    retentionHours: stream.retentionHours,
    sessionTimeoutMs: stream.sessionTimeoutMs,
    security: {
      ...(stream.plaintext === 'allow-off-loopback' && { plaintext: stream.plaintext }),
      ...(tls && {
        tls: {
          ...(tls.caFile !== undefined && { ca: await text(tls.caFile) }),
          ...(tls.certificateFile !== undefined && { cert: await text(tls.certificateFile) }),
          ...(tls.keyFile !== undefined && { key: await text(tls.keyFile) }),
        },
      }),
      ...(sasl && {
        sasl: { mechanism: sasl.mechanism, username: sasl.username, password: (await text(sasl.passwordFile)).trim() },
      }),
    },
    log: logger,
  });
}

async function text(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new InputError(`${file}: cannot be read (${code}); name a file that this program may read`);
  }
}
