import { isCheckpointName, isHash, manifestName, partialEnding } from './checkpoint-name.js';
import type { Manifest } from './manifest.js';
import type { StoredObject } from './object-storage.js';

/** What an object is to a checkpoint store. */
type Role =
  /** The manifest that makes a checkpoint visible under its name. */
  | { readonly kind: 'manifest'; readonly name: string }
  /** A file of one content of a checkpoint, or that content's manifest. */
  | { readonly kind: 'content'; readonly name: string; readonly hash: string; readonly file: string }
  /** A file beside a checkpoint's manifest. */
  | { readonly kind: 'beside'; readonly name: string; readonly file: string }
  /** What a process that was killed had begun to write. */
  | { readonly kind: 'partial' }
  | { readonly kind: 'stranger' };

/** Those objects of a folder that belong to what lies under it: not to a checkpoint that the folder itself is. */
export function objectsBelow(objects: readonly StoredObject[], folder: string): StoredObject[] {
  return objects.filter(({ key }) => {
    const parts = key.slice(folder.length).split('/');
    return parts.length > 1 && !isHash(parts[0]!);
  });
}

/** The names of the checkpoints that objects make up, in order. */
export function checkpointNames(objects: readonly StoredObject[]): string[] {
  return objects
    .map(({ key }) => roleOf(key))
    .flatMap((role) => (role.kind === 'manifest' ? [role.name] : []))
    .sort();
}

/**
 * What is to be deleted, in an order in which it can stop anywhere: a checkpoint loses its manifest first, so that none is
 * visible without its files.
 *
 * @param manifests by name, those of all checkpoints among the objects; none where it is damaged
 * @param isKept whether the checkpoint of a name stays
 * @param leftoversBeforeMs what belongs to no checkpoint is deleted if it was stored before: later it may belong to a
 *   publication that goes on
 */
export function removableKeys(
  objects: readonly StoredObject[],
  manifests: ReadonlyMap<string, Manifest | undefined>,
  isKept: (name: string) => boolean,
  leftoversBeforeMs: number,
): string[] {
  const isRemovable = ({ key, modifiedMs }: StoredObject): boolean => {
    const role = roleOf(key);
    const isOld = modifiedMs <= leftoversBeforeMs;
    switch (role.kind) {
      case 'stranger':
        return false;
      case 'partial':
        return isOld;
      case 'manifest':
        return !isKept(role.name);
      case 'content': {
        const isCurrent = manifests.has(role.name) && (manifests.get(role.name)?.folder ?? role.hash) === role.hash;
        return isCurrent ? !isKept(role.name) : isOld;
      }
      case 'beside': {
        if (!manifests.has(role.name)) return false;
        const manifest = manifests.get(role.name);
        if (!isKept(role.name)) return true;
        // Its files lie in the folder of their content: these are of a checkpoint that was copied here and then replaced.
        return manifest?.folder !== undefined && isOld;
      }
    }
  };
  return objects
    .filter(isRemovable)
    .map(({ key }) => key)
    .sort((a, b) => deletionRank(a) - deletionRank(b));
}

function deletionRank(key: string): number {
  const role = roleOf(key);
  if (role.kind === 'manifest') return 0;
  return role.kind === 'content' && role.file === manifestName ? 1 : 2;
}

function roleOf(key: string): Role {
  const parts = key.split('/');
  if (parts.some((part) => part.endsWith(partialEnding))) return { kind: 'partial' };
  const file = parts.at(-1)!;
  const folder = parts.at(-2) ?? '';
  const name = parts.slice(0, -1).join('/');
  const outer = parts.slice(0, -2).join('/');
  if (isHash(folder) && isCheckpointName(outer)) return { kind: 'content', name: outer, hash: folder, file };
  if (!isCheckpointName(name)) return { kind: 'stranger' };
  return file === manifestName ? { kind: 'manifest', name } : { kind: 'beside', name, file };
}
