import { chooseDevice, thisMachine, type Device } from './choose-device.js';

/** How TensorFlow is loaded. */
export interface BackendOptions {
  /** Threads to compute with; where it is not given, what the environment says already. */
  readonly threads?: number;
  /** The variables of this process: TensorFlow's settings are written to them, which it reads once, when it is loaded. */
  readonly environment: Record<string, string | undefined>;
}

/**
 * Loads TensorFlow's native library for the device of this machine, as the backend of tfjs.
 *
 * @returns the device
 * @throws InputError if the setting INFALIGN_DEVICE cannot be followed
 */
export async function loadBackend({ threads, environment }: BackendOptions): Promise<Device> {
  const device = chooseDevice(thisMachine(), environment.INFALIGN_DEVICE);
  if (threads !== undefined) {
    // Every operation has one thread, and those that do not depend on each other run at the same time: many threads for one
    // operation wait more than they compute, and what it adds up would depend on how many there are.
    environment.TF_NUM_INTRAOP_THREADS = '1';
    environment.TF_NUM_INTEROP_THREADS = String(threads);
  }
  environment.TF_CPP_MIN_LOG_LEVEL ??= '2';
  await import(device.packageName);
  return device;
}
