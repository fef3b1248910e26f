import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { InputError } from '@infalign/core';
import { fileSource } from '@infalign/checkpoint';
import { readGguf } from './gguf-model.js';
import { readPretrained, type Pretrained } from './pretrained-files.js';

/**
 * Reads a model of the Llama family from a Hugging Face folder or from a GGUF file. Beside its weights, in 32-bit floats,
 * no more than one stored weight is held in memory at a time.
 *
 * @param path of the folder, or of the file
 * @throws InputError naming the file and what is wrong with it
 */
export function openPretrained(path: string): Pretrained {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new InputError(`${path}: is not there. Give the folder of a Hugging Face model, or a GGUF file.`);
  const files = new Map<string, ReturnType<typeof fileSource>>();
  try {
    if (!found.isDirectory()) {
      const file = fileSource(path);
      files.set(basename(path), file);
      return readGguf(file, path);
    }
    for (const entry of readdirSync(path)) {
      if (/\.(?:json|jinja|safetensors)$/.test(entry)) files.set(entry, fileSource(join(path, entry)));
    }
    return readPretrained(files, path);
  } finally {
    for (const file of files.values()) file.close();
  }
}
