import { closeSync, openSync, writeSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { newTestFolder, startInfalign } from '../program.fixture.js';

const files = newTestFolder();
afterAll(files.remove);

const REPORT_PEAK =
  'data:text/javascript,process.on("exit",()=>console.error(`peak ${process.resourceUsage().maxRSS}`))';

function writeLines(name: string, count: number, line: (index: number) => string): string {
  const descriptor = openSync(files.path(name), 'w');
  for (let index = 0; index < count;) {
    let text = '';
    for (const until = Math.min(count, index + 5000); index < until; index++) text += `${line(index)}\n`;
    writeSync(descriptor, text);
  }
  closeSync(descriptor);
  return files.path(name);
}

/** MiB resident at the most, and what was written. */
async function peak(args: readonly string[]): Promise<{ mebibytes: number; stdout: string }> {
  const { ended } = startInfalign(args, files.temporaryFolder, ['--import', REPORT_PEAK]);
  const { code, stdout, stderr } = await ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringMatching(/^(reading|joining|peak)/) as string });
  return { mebibytes: Number(/peak (\d+)/.exec(stderr)?.[1]) / 1024, stdout };
}

const scattered = (index: number, count: number) => (index * 7919 + 3) % count;
const reward = (index: number) => Math.sin(index * 12.9898) * 3;

describe('the memory of the file commands', () => {
  it('does not grow with the rollouts that calibrate reads, nor with the references', async () => {
    const run = (lines: number) => {
      const prompts = lines / 5;
      const rollouts = writeLines(
        'rollouts.jsonl',
        lines,
        (index) => `{"prompt_id":"p${scattered(index, lines) % prompts}","sample":${index},"reward":${reward(index)}}`,
      );
      const reference = writeLines(
        'reference.jsonl',
        prompts,
        (index) => `{"prompt_id":"p${index}","rewards":[${reward(index)},${reward(index + 1)},${reward(index + 2)}]}`,
      );
      const out = files.path('out.jsonl');
      return peak(['calibrate', '--rollouts', rollouts, '--reference', reference, '--memory', '8', '--out', out]);
    };
    const small = await run(200_000);
    const large = await run(1_000_000);
    // What grows is only the garbage that the collector allows itself: 10 million lines take no more.
    expect(large.mebibytes).toBeLessThan(small.mebibytes + 90);
    expect(large.mebibytes).toBeLessThan(220);
  });

  it('does not grow with the samples that win-rate reads', async () => {
    const run = async (prompts: number) => {
      const line = (side: number) => (index: number) =>
        `{"prompt_id":${scattered(index + side, prompts)},"rewards":[${Array.from({ length: 16 }, (_, sample) => reward(index + sample + side)).join()}]}`;
      const policy = writeLines('policy.jsonl', prompts, line(0));
      const reference = writeLines('reference.jsonl', prompts, line(1));
      const args = ['win-rate', '--policy', policy, '--reference', reference, '--procedure', 'bon:4'];
      const { mebibytes, stdout } = await peak([...args, '--memory', '8']);
      expect(stdout).toContain(`over ${prompts} prompts`);
      return mebibytes;
    };
    const small = await run(30_000);
    const large = await run(150_000); // 85 MB of text, 38 MB of rewards
    expect(large).toBeLessThan(small + 90);
    expect(large).toBeLessThan(220);
  });
});
