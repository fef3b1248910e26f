import { InputError } from '@infalign/core';

/** An object's key has at most 1024 bytes in S3; prefix, content hash and file name need the rest. */
const maxNameLength = 300;
const maxPartLength = 200;

const partPattern = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const hashPattern = /^[0-9a-f]{64}$/;

/** Endings of files that a reader would unpickle, which runs whatever code they hold. */
const pickleEndings = ['.bin', '.pt', '.pth', '.pkl', '.pickle', '.ckpt', '.joblib', '.npy', '.npz'];

/** The file that describes a checkpoint. */
export const manifestName = 'manifest.json';

/** Ends the names of files and folders that are being written. */
export const partialEnding = '.partial';

/**
 * Checks the name of a checkpoint, as requests and records bring it: parts of letters, digits, `_`, `.` and `-`, separated
 * by `/`, so that no name leads out of a checkpoint store, to hidden files, or to the insides of another checkpoint.
 *
 * @returns the name
 * @throws InputError saying what is wrong with it
 */
export function checkpointName(text: string): string {
  const problem = nameProblem(text);
  if (problem === undefined) return text;
  throw new InputError(
    `checkpoint name ${shown(text)}: ${problem}. A name is relative, of letters, digits, '_', '.' and '-', its parts ` +
      "separated by '/': runs/harmless/version-3.",
  );
}

/** Whether a checkpoint may have that name. */
export function isCheckpointName(text: string): boolean {
  return nameProblem(text) === undefined;
}

/**
 * Checks a content hash, as requests and records bring it.
 *
 * @returns the hash
 * @throws InputError if it is no SHA-256 in lower-case hexadecimal digits
 */
export function checkedHash(text: string): string {
  if (isHash(text)) return text;
  throw new InputError(
    `content hash ${shown(text)}: is not 64 hexadecimal digits in lower case, which a SHA-256 is. Give the hash that the ` +
      'checkpoint was published with.',
  );
}

/** Whether a text is a SHA-256 in lower-case hexadecimal digits. */
export function isHash(text: string): boolean {
  return hashPattern.test(text);
}

/**
 * Checks the name of a file in a checkpoint: one part, no pickle.
 *
 * @param place of the checkpoint, for the message
 * @throws InputError if it leads out of the checkpoint's folder, or names a file that holds code
 */
export function checkFileName(name: string, place: string): void {
  if (!partPattern.test(name) || name.length > maxPartLength) {
    throw new InputError(`${place}: names a file outside its folder, or none (${shown(name)}), which is refused.`);
  }
  if (isReserved(name)) {
    throw new InputError(`${place}: names a file ${name}, a name that the checkpoint needs itself: rename the file.`);
  }
  if (pickleEndings.some((ending) => name.toLowerCase().endsWith(ending))) {
    throw new InputError(
      `${place}: holds ${name}. Files of that kind are pickles, which can run any code when they are loaded, so weights ` +
        'are read from safetensors only: convert it to model.safetensors.',
    );
  }
}

function isReserved(part: string): boolean {
  return part === manifestName || isHash(part) || part.endsWith(partialEnding);
}

function nameProblem(text: string): string | undefined {
  if (text === '') return 'is empty';
  if (text.length > maxNameLength) return `has ${text.length} characters, more than ${maxNameLength}`;
  if (text.startsWith('/')) return "begins with '/', as absolute paths do";
  if (text.includes('\\')) return 'has a backslash';
  for (const part of text.split('/')) {
    if (part === '') return "has nothing between two '/', or behind the last";
    if (part.startsWith('.')) return `has the part ${part}, which begins with '.'`;
    if (!partPattern.test(part)) return `has the part ${shown(part)}`;
    if (part.length > maxPartLength) return `has a part of ${part.length} characters, more than ${maxPartLength}`;
    if (isReserved(part)) return `has the part ${part}, a name that checkpoints need themselves`;
  }
  return undefined;
}

/** Quoted, in printable ASCII, and not longer than a line: as a terminal and a log may show what came over the network. */
function shown(text: string): string {
  const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  const quoted = JSON.stringify(text.slice(0, 60)).replace(/[^\x20-\x7e]/g, escaped);
  return text.length > 60 ? `${quoted} and more` : quoted;
}
