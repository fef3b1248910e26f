import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { chooseDevice, loadBackend, thisMachine } from './index.js';

describe('the device', () => {
  const withGpu = { hasGpu: true, hasGpuLibrary: true };

  it('is the GPU where there is one and its library is installed, and the CPU elsewhere, with the reason', () => {
    expect(chooseDevice(withGpu)).toMatchObject({ kind: 'gpu' });
    expect(chooseDevice({ hasGpu: false, hasGpuLibrary: true })).toMatchObject({
      kind: 'cpu',
      reason: 'no NVIDIA GPU is visible',
    });
    const { kind, reason } = chooseDevice({ hasGpu: true, hasGpuLibrary: false });
    expect(kind).toBe('cpu');
    expect(reason).toContain('is not installed: npm run setup -- --gpu');
  });

  it('is the one that was asked for, or an error says why it cannot be', () => {
    expect(chooseDevice(withGpu, 'cpu')).toMatchObject({ kind: 'cpu', reason: 'INFALIGN_DEVICE asks for it' });
    expect(chooseDevice(withGpu, 'gpu').kind).toBe('gpu');
    expect(() => chooseDevice({ hasGpu: false, hasGpuLibrary: true }, 'gpu')).toThrow(InputError);
    expect(() => chooseDevice({ hasGpu: true, hasGpuLibrary: false }, 'gpu')).toThrow('is not installed');
    expect(() => chooseDevice(withGpu, 'tpu')).toThrow('INFALIGN_DEVICE is "tpu"; it must be cpu or gpu.');
  });
});

it('the backend is loaded with its threads set', async () => {
  const environment: Record<string, string | undefined> = { INFALIGN_DEVICE: 'cpu' };
  expect((await loadBackend({ threads: 3, environment })).kind).toBe('cpu');
  expect(environment).toMatchObject({ TF_NUM_INTRAOP_THREADS: '1', TF_NUM_INTEROP_THREADS: '3' });
  expect(environment).toMatchObject({ TF_ENABLE_ONEDNN_OPTS: '1' });
  // The library for GPUs sees none.
  expect(environment).toMatchObject({ CUDA_VISIBLE_DEVICES: '-1' });
  const tf = await import('@tensorflow/tfjs-node');
  expect(tf.getBackend()).toBe('tensorflow');
  expect(typeof thisMachine().hasGpuLibrary).toBe('boolean');
});
