import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';
import { baselineNames, benchmarksPage, commands } from './benchmarks-page.mjs';
import { median } from './median.mjs';
import { kernelOf } from './profile/kernels.mjs';
import { fittedExponent } from './scale/series.mjs';

const baselines = Object.fromEntries(
  baselineNames.map((name) => [
    name,
    JSON.parse(readFileSync(join(root, 'tools', 'bench', 'baselines', `${name}.json`), 'utf8')),
  ]),
);

describe('docs/benchmarks.md', () => {
  it('is what the committed results say (after a new one: npx vitest run --project bench -u)', async () => {
    const page = join(root, 'docs', 'benchmarks.md');
    const options = { ...(await resolveConfig(page)), parser: 'markdown' };
    await expect(await format(benchmarksPage(baselines), options)).toMatchFileSnapshot(page);
  });

  it('has a benchmark for every command, and a command for every benchmark', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    const benchmarks = Object.keys(scripts).filter((name) => name.startsWith('bench:'));
    const told = Object.values(commands).map((command) => command.split(' ')[0]);
    expect([...new Set(told)].sort()).toEqual(benchmarks.sort());
  });
});

describe.each(baselineNames)('the committed result of bench:%s', (name) => {
  it('has ratios that are those of its values', () => {
    const compared = baselines[name].rows.filter(({ peer_value: theirs, ratio }) => theirs !== null && ratio !== null);
    for (const { ours, peer_value: theirs, ratio, unit } of compared) {
      // Of a time, less is better.
      const quotient = unit === 's' ? theirs / ours : ours / theirs;
      // Samplers have the median of ratios, a profile the part of the most that the machine does.
      if (name !== 'samplers' && name !== 'profile') expect(Math.abs(ratio / quotient - 1)).toBeLessThan(0.02);
    }
    expect(baselines[name].rows.length).toBeGreaterThan(0);
  });
});

describe('a benchmark', () => {
  it('ends with its message where one side cannot be started, though the other one waits for commands', () => {
    const program = `
      import { startWorker } from './tools/bench/peers/worker.mjs';
      import { script } from './tools/workspace/workspace.mjs';
      await script(async () => {
        startWorker('ours', process.execPath, ['-e', 'process.stdin.resume()'], {});
        await startWorker('theirs', process.execPath, ['-e', 'process.exit(3)'], {}).call('start');
      });`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
      cwd: root,
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ status, stderr }).toEqual({ status: 1, stderr: 'theirs ended while it was needed, with 3\n' });
  });
});

describe('what is computed from measurements', () => {
  it('is the middle one, or the mean of both', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 10])).toBe(3.5);
  });

  it('finds the exponent of a power law', () => {
    const sizes = [2, 3, 5, 8];
    expect(
      fittedExponent(
        sizes,
        sizes.map((size) => 7 * size ** 1.5),
      ),
    ).toBeCloseTo(1.5, 12);
  });

  it('counts the operations and bytes of a product that oneDNN tells of, weights apart from attention', () => {
    const gemm =
      'onednn_verbose,exec,cpu,gemm_api,,undef,src_f32::blocked:ab:f0 wei_f32::blocked:ba:f0 dst_f32::blocked:ab:f0,,,64x384:384x1024,0.5';
    expect(kernelOf(gemm)).toEqual({
      kind: 'weights',
      milliseconds: 0.5,
      operations: 2 * 64 * 384 * 1024,
      bytes: 4 * (64 * 384 + 384 * 1024 + 64 * 1024),
    });
    const batch =
      'onednn_verbose,exec,cpu,matmul,brg:avx512_core,undef,src_f32 wei_f32 dst_f32,,,64x6x1x160:64x6x160x64,1.25';
    expect(kernelOf(batch)).toEqual({
      kind: 'attention',
      milliseconds: 1.25,
      operations: 2 * 64 * 6 * 160 * 64,
      bytes: 4 * 64 * 6 * (160 + 160 * 64 + 64),
    });
    const single =
      'onednn_verbose,exec,cpu,matmul,brg:avx512_core,undef,src_f32 wei_f32 dst_f32,,,1x1024x384:1x384x32,0.3';
    expect(kernelOf(single).kind).toBe('weights');
    expect(kernelOf('onednn_verbose,exec,cpu,softmax,jit,forward_inference,data,,,384x96,0.1')).toMatchObject({
      kind: 'other',
      milliseconds: 0.1,
    });
    expect(kernelOf('onednn_verbose,info,cpu,runtime:threadpool')).toBeUndefined();
  });
});
