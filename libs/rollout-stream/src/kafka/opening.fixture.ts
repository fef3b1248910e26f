import { describe, it } from 'vitest';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';
export function describeOpening(_cluster: () => KafkaCluster): void {
  describe('opening', () => it('later', () => undefined));
}
