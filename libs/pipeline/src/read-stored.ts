import type { CheckpointReference } from '@infalign/contracts';
import { StoreUnavailable, type Checkpoint, type CheckpointStore } from '@infalign/checkpoint';

/**
 * Reads a checkpoint that a record names.
 *
 * @throws InputError if it is not there or damaged: the record is of no use. Another error if the store is out of reach, which
 *   says nothing of the record
 */
export async function readStored(
  store: CheckpointStore,
  { name, contentHash }: CheckpointReference,
): Promise<Checkpoint> {
  try {
    return await store.read(name, contentHash);
  } catch (error) {
    if (error instanceof StoreUnavailable) throw new Error(error.message, { cause: error });
    throw error;
  }
}
