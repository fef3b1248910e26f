import { fstatSync, write } from 'node:fs';
import { promisify } from 'node:util';
import { InputError } from '@infalign/core';

const STANDARD_OUTPUT = 1;
const writeDescriptor = promisify(write);

/**
 * Writes to standard output and waits until the system has taken all of it.
 *
 * @throws InputError when it goes to a full disk; EPIPE as it is when nobody reads on
 */
export async function writeStandardOutput(bytes: Uint8Array | string): Promise<void> {
  const whole = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
  const status = fstatSync(STANDARD_OUTPUT);
  if (status.isFIFO() || status.isSocket() || process.stdout.isTTY) {
    await new Promise<void>((resolve, reject) => {
      process.stdout.once('error', reject);
      process.stdout.write(whole, (error) => {
        if (error) return reject(error);
        process.stdout.off('error', reject);
        resolve();
      });
    });
    return;
  }
  // Node's own stream drops what a nearly full disk did not take.
  try {
    for (let written = 0; written < whole.length;) {
      written += (await writeDescriptor(STANDARD_OUTPUT, whole, written)).bytesWritten;
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
      throw new InputError('standard output: no space left on the disk; free some space, or choose another disk');
    }
    throw error;
  }
}
