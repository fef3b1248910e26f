import { describe, it } from 'vitest';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';
export function describeForeignRecords(_cluster: () => KafkaCluster): void {
  describe('foreign', () => it('later', () => undefined));
}
