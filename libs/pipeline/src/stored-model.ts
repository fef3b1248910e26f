import { publishCheckpoint, readCheckpoint, type Checkpoint } from '@infalign/checkpoint';
import { pretrainedFiles, readPretrained, type Pretrained } from '@infalign/language-model';

/** A model out of a checkpoint: a Hugging Face folder, and the hash of its content. */
export interface StoredModel extends Pretrained {
  readonly contentHash: string;
}

/** Stores a model in a folder that Python's transformers loads as it is. @returns its content hash */
export function storeModel(folder: string, model: Pretrained): string {
  return publishCheckpoint(folder, pretrainedFiles(model), null);
}

/** Reads a model that `storeModel` stored, verified. */
export function readModel(folder: string): StoredModel {
  return modelOf(readCheckpoint(folder), folder);
}

/**
 * The model that a checkpoint holds.
 *
 * @param place where it was read, for messages
 */
export function modelOf({ files, contentHash }: Checkpoint, place: string): StoredModel {
  return { ...readPretrained(files, place), contentHash };
}
