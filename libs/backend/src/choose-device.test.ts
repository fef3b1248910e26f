import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { chooseDevice, loadBackend, thisMachine } from './index.js';

describe('the device', () => {
  const withGpu = { hasGpu: true, hasGpuPackage: true };

  it('is the GPU where there is one and its library is installed, and the CPU elsewhere, with the reason', () => {
    expect(chooseDevice(withGpu)).toMatchObject({ kind: 'gpu', packageName: '@tensorflow/tfjs-node-gpu' });
    expect(chooseDevice({ hasGpu: false, hasGpuPackage: true })).toMatchObject({
      kind: 'cpu',
      packageName: '@tensorflow/tfjs-node',
      reason: 'no NVIDIA GPU is visible',
    });
    const { kind, reason } = chooseDevice({ hasGpu: true, hasGpuPackage: false });
    expect(kind).toBe('cpu');
    expect(reason).toContain('@tensorflow/tfjs-node-gpu@4.22.0 is not installed');
  });

  it('is the one that was asked for, or an error says why it cannot be', () => {
    expect(chooseDevice(withGpu, 'cpu')).toMatchObject({ kind: 'cpu', reason: 'INFALIGN_DEVICE asks for it' });
    expect(chooseDevice(withGpu, 'gpu').kind).toBe('gpu');
    expect(() => chooseDevice({ hasGpu: false, hasGpuPackage: true }, 'gpu')).toThrow(InputError);
    expect(() => chooseDevice({ hasGpu: true, hasGpuPackage: false }, 'gpu')).toThrow('is not installed');
    expect(() => chooseDevice(withGpu, 'tpu')).toThrow('INFALIGN_DEVICE is "tpu"; it must be cpu or gpu.');
  });
});

it('the backend is loaded with its threads set', async () => {
  const environment: Record<string, string | undefined> = { INFALIGN_DEVICE: 'cpu' };
  expect((await loadBackend({ threads: 3, environment })).kind).toBe('cpu');
  expect(environment).toMatchObject({ TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '3' });
  const tf = await import('@tensorflow/tfjs-node');
  expect(tf.getBackend()).toBe('tensorflow');
  expect(thisMachine().hasGpuPackage).toBe(false);
});
