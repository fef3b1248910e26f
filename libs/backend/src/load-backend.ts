import { chooseDevice, thisMachine, type Device } from './choose-device.js';

/** How TensorFlow is loaded. */
export interface BackendOptions {
  /** Threads of one operation; where it is not given, what the environment says already. */
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
    environment.TF_NUM_INTRAOP_THREADS = String(threads);
    // Operations one after another: what runs at the same time would share the threads in an order that changes.
    environment.TF_NUM_INTEROP_THREADS = '1';
  }
  environment.TF_CPP_MIN_LOG_LEVEL ??= '2';
  await import(device.packageName);
  return device;
}
