import { describe, expect, it, vi } from 'vitest';
import { createExecution } from './execution.js';
import { concurrency, type NativeBinding } from './native.js';

const binding: Record<string, unknown> = { runSavedModel: () => [] };
vi.mock(import('@tensorflow/tfjs-core'), async (original) => ({
  ...(await original()),
  backend: () => ({ binding }) as never,
}));

describe('on a GPU', () => {
  it('a graph is a function, which is removed when the graph is disposed of', () => {
    const calls: unknown[] = [];
    const gpu: Partial<NativeBinding> & Record<string, unknown> = {
      isUsingGpuDevice: () => true,
      addFunction: (name: string, _: Uint8Array, inputs: readonly string[]) => calls.push(['add', name, inputs]),
      executeOp: (name: string, _: unknown, ids: readonly number[], outputs: number) => {
        calls.push(['execute', name, ids, outputs]);
        return [];
      },
      removeFunction: (name: string) => calls.push(['remove', name]),
    };
    Object.assign(binding, gpu);
    const execution = createExecution();
    const definition = { node: [], versions: { producer: 1 } };
    const run = execution.prepare({
      copies: 1,
      definition: () => definition,
      inputs: ['a:0'],
      outputs: ['b:0', 'c:0'],
    });
    run([7]);
    execution.dispose();
    const [[, name]] = calls as [[string, string]];
    expect(calls).toEqual([
      ['add', name, ['a:0']],
      ['execute', name, [7], 2],
      ['remove', name],
    ]);
    expect(concurrency()).toBe(1);
  });

  it('graphs are refused where the addon has no functions', () => {
    Object.assign(binding, { isUsingGpuDevice: () => true });
    delete binding['addFunction'];
    expect(createExecution).toThrow('compiled with native/addon.cc');
  });
});
