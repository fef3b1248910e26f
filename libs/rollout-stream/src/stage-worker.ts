import { partitionWorker, type PartitionWorker } from './partition-worker.js';
import type { RolloutStream } from './rollout-stream.js';
import type { Stage } from './stage.js';
import type { Worker } from './worker.js';

/**
 * A stage as a member of its group, one transaction at a time: of one partition after another, each as long as there is
 * something in it.
 */
export async function stageWorker<T>(stream: RolloutStream, stage: Stage<T>): Promise<Worker> {
  const member = await stream.join(stage.name, stage.input);
  const workers = new Map<number, PartitionWorker>();
  let turn = 0;
  return {
    name: stage.name,
    async advance() {
      const assigned = member.assigned();
      for (const partition of workers.keys()) if (!assigned.includes(partition)) workers.delete(partition);
      for (let tried = 0; tried < assigned.length; tried++) {
        const partition = assigned[turn % assigned.length]!;
        let worker = workers.get(partition);
        if (!worker) workers.set(partition, (worker = partitionWorker(member, stage, partition)));
        const outcome = await worker.advance();
        if (typeof outcome !== 'string') return outcome;
        turn++;
      }
      return undefined;
    },
    changed: (timeoutMs) => member.changed(timeoutMs),
    close: () => member.leave(),
  };
}
