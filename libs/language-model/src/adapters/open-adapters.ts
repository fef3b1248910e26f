import { join } from 'node:path';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { InputError } from '@infalign/core';
import type { ModelData } from '../definition.js';
import { readAdapters } from './adapter-files.js';

/**
 * Reads the adapters of a model from a folder that PEFT, or `adapterFiles`, wrote.
 *
 * @param path of the folder
 * @param model that the adapters were made for, without adapters of its own
 * @throws InputError naming the file and what is wrong with it
 */
export function openAdapters<Model extends ModelData>(path: string, model: Model): Model {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new InputError(`${path}: is not there. Give the folder of adapters that PEFT has saved.`);
  }
  const found = readdirSync(path).filter((name) => /\.(?:json|safetensors)$/.test(name));
  return readAdapters(new Map(found.map((name) => [name, readFileSync(join(path, name))])), path, model);
}
