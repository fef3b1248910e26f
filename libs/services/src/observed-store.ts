import type { CheckpointStore } from '@infalign/checkpoint';
import type { Telemetry } from '@infalign/telemetry';

/** A checkpoint store that tells how long checkpoints take and how large they are. */
export function observedStore(store: CheckpointStore, telemetry: Telemetry): CheckpointStore {
  if (!telemetry.enabled) return store;

  function tell(operation: 'publish' | 'read', start: number, files: ReadonlyMap<string, string | Uint8Array>): void {
    const attributes = { 'infalign.checkpoint.operation': operation };
    let bytes = 0;
    for (const content of files.values()) {
      bytes += typeof content === 'string' ? Buffer.byteLength(content) : content.byteLength;
    }
    telemetry.record('infalign.checkpoint.duration', (performance.now() - start) / 1000, attributes);
    telemetry.record('infalign.checkpoint.io', bytes, attributes);
  }

  return {
    ...store,
    async publish(name, files, metadata) {
      const start = performance.now();
      const hash = await store.publish(name, files, metadata);
      tell('publish', start, files);
      return hash;
    },
    async read(name, expectedHash) {
      const start = performance.now();
      const checkpoint = await store.read(name, expectedHash);
      tell('read', start, checkpoint.files);
      return checkpoint;
    },
  };
}
