import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InputError } from '@infalign/core';

/** What models compute on. */
export interface Device {
  readonly kind: 'cpu' | 'gpu';
  /** Why this one: a phrase. */
  readonly reason: string;
}

/** What there is on a machine. */
export interface Machine {
  /** Whether the driver of an NVIDIA GPU is loaded. */
  readonly hasGpu: boolean;
  /** Whether TensorFlow's library is the one for GPUs. */
  readonly hasGpuLibrary: boolean;
}

/**
 * Chooses the device: a GPU where there is one and the library for it is installed, else the CPU.
 *
 * @param wanted `cpu` or `gpu` where it has been said, which is the setting INFALIGN_DEVICE
 * @throws InputError if what is wanted is no device, or cannot be had
 */
export function chooseDevice({ hasGpu, hasGpuLibrary }: Machine, wanted?: string): Device {
  if (wanted !== undefined && wanted !== 'cpu' && wanted !== 'gpu') {
    throw new InputError(`INFALIGN_DEVICE is "${wanted}"; it must be cpu or gpu.`);
  }
  if (wanted === 'cpu') return { kind: 'cpu', reason: 'INFALIGN_DEVICE asks for it' };
  const problem = !hasGpu
    ? 'no NVIDIA GPU is visible'
    : !hasGpuLibrary
      ? "there is an NVIDIA GPU, but TensorFlow's library for it is not installed: npm run setup -- --gpu"
      : undefined;
  if (problem === undefined) {
    return { kind: 'gpu', reason: "there is an NVIDIA GPU, and TensorFlow's library for it is installed" };
  }
  if (wanted === 'gpu') throw gpuRefused(problem);
  return { kind: 'cpu', reason: problem };
}

/** What is said where a GPU was asked for and cannot be had. @param problem a phrase */
export function gpuRefused(problem: string): InputError {
  return new InputError(`INFALIGN_DEVICE asks for a GPU, but ${problem}.`);
}

/** Looks at this machine. */
export function thisMachine(): Machine {
  const tfjsNode = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-node/package.json'));
  return {
    hasGpu: existsSync('/proc/driver/nvidia/version'),
    // CUDA's own libraries, which the setup puts beside that of TensorFlow.
    hasGpuLibrary: existsSync(join(tfjsNode, 'deps', 'nvidia')),
  };
}
