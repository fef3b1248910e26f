import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { InputError } from '@infalign/core';

/** What models compute on. */
export interface Device {
  readonly kind: 'cpu' | 'gpu';
  /** The npm package whose native library computes on it. */
  readonly packageName: '@tensorflow/tfjs-node' | '@tensorflow/tfjs-node-gpu';
  /** Why this one: a phrase. */
  readonly reason: string;
}

/** What there is on a machine. */
export interface Machine {
  /** Whether the driver of an NVIDIA GPU is loaded. */
  readonly hasGpu: boolean;
  /** Whether tfjs-node-gpu is installed. */
  readonly hasGpuPackage: boolean;
}

/** The version of tfjs-node-gpu that belongs to the tfjs-node in use. */
const gpuPackage = '@tensorflow/tfjs-node-gpu@4.22.0';

/**
 * Chooses the device: a GPU where there is one and the library for it is installed, else the CPU.
 *
 * @param wanted `cpu` or `gpu` where it has been said, which is the setting INFALIGN_DEVICE
 * @throws InputError if what is wanted is no device, or cannot be had
 */
export function chooseDevice({ hasGpu, hasGpuPackage }: Machine, wanted?: string): Device {
  if (wanted !== undefined && wanted !== 'cpu' && wanted !== 'gpu') {
    throw new InputError(`INFALIGN_DEVICE is "${wanted}"; it must be cpu or gpu.`);
  }
  const cpu = (reason: string): Device => ({ kind: 'cpu', packageName: '@tensorflow/tfjs-node', reason });
  if (wanted === 'cpu') return cpu('INFALIGN_DEVICE asks for it');
  const problem = !hasGpu
    ? 'no NVIDIA GPU is visible'
    : !hasGpuPackage
      ? `there is an NVIDIA GPU, but ${gpuPackage} is not installed`
      : undefined;
  if (problem === undefined) {
    const reason = `there is an NVIDIA GPU, and ${gpuPackage} is installed`;
    return { kind: 'gpu', packageName: '@tensorflow/tfjs-node-gpu', reason };
  }
  if (wanted === 'gpu') throw new InputError(`INFALIGN_DEVICE asks for a GPU, but ${problem}.`);
  return cpu(problem);
}

/** Looks at this machine. */
export function thisMachine(): Machine {
  let hasGpuPackage = true;
  try {
    createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu');
  } catch {
    hasGpuPackage = false;
  }
  return { hasGpu: existsSync('/proc/driver/nvidia/version'), hasGpuPackage };
}
