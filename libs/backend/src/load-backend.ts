import { chooseDevice, gpuRefused, thisMachine, type Device } from './choose-device.js';

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
 * @returns the device that it computes on: the CPU, too, where it cannot use a GPU that is there
 * @throws InputError if the setting INFALIGN_DEVICE cannot be followed
 */
export async function loadBackend({ threads, environment }: BackendOptions): Promise<Device> {
  const wanted = environment.INFALIGN_DEVICE;
  const device = chooseDevice(thisMachine(), wanted);
  if (threads !== undefined) {
    // Every operation has one thread, and those that do not depend on each other run at the same time: many threads for one
    // operation wait more than they compute, and what it adds up would depend on how many there are.
    environment.TF_NUM_INTRAOP_THREADS = '1';
    environment.TF_NUM_INTEROP_THREADS = String(threads);
  }
  Object.assign(environment, settingsFor(device, environment));
  const tf = await import('@tensorflow/tfjs-node');
  if (device.kind === 'cpu' || isOnGpu(tf)) return device;
  const problem = 'TensorFlow cannot use the NVIDIA GPU that there is: infalign doctor says what it lacks';
  if (wanted === 'gpu') throw gpuRefused(problem);
  return { kind: 'cpu', reason: problem };
}

/** What TensorFlow and CUDA read from the environment for a device, where nothing else has been said there; the CPU sees no GPU in any case. */
function settingsFor({ kind }: Device, environment: BackendOptions['environment']): Record<string, string> {
  const {
    TF_CPP_MIN_LOG_LEVEL = '2',
    // By default TensorFlow does without oneDNN on processors that lack AVX-512 VNNI: docs/decisions/0025-onednn-on-every-processor.md
    TF_ENABLE_ONEDNN_OPTS = '1',
    // Several processes share a GPU: each takes memory as it needs it, where by default the first one takes all.
    TF_FORCE_GPU_ALLOW_GROWTH = 'true',
    // Products have 32-bit operands, as on the CPU: a GPU cuts them to 19 bits by default.
    NVIDIA_TF32_OVERRIDE = '0',
    // Sums in one order, and so the same bytes every time.
    TF_DETERMINISTIC_OPS = '1',
  } = environment;
  // The library for GPUs takes any that it sees.
  if (kind === 'cpu') return { TF_CPP_MIN_LOG_LEVEL, TF_ENABLE_ONEDNN_OPTS, CUDA_VISIBLE_DEVICES: '-1' };
  return { TF_CPP_MIN_LOG_LEVEL, TF_FORCE_GPU_ALLOW_GROWTH, NVIDIA_TF32_OVERRIDE, TF_DETERMINISTIC_OPS };
}

function isOnGpu(tf: { backend(): unknown }): boolean {
  return (tf.backend() as { readonly isUsingGpuDevice: boolean }).isUsingGpuDevice;
}
