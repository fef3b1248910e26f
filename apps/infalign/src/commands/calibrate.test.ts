import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { seededRandom } from '@infalign/core';
import { infalign, jsonLines, newTestFolder, startInfalign } from '../program.fixture.js';

const files = newTestFolder();
const { temporaryFolder } = files;
afterAll(files.remove);

const random = seededRandom('calibrate command');
const round = (value: number) => Math.round(value * 20) / 20 + 0; // ties are frequent
const prompts = Array.from({ length: 300 }, (_, index) => ({
  prompt_id: index % 2 === 0 ? index : `prompt ${index}`,
  rewards: Array.from({ length: 2 + random.integer(30) }, () => round(random.normal())),
}));
const rollouts = Array.from({ length: 2000 }, (_, index) => ({
  response: `naïve "text" ${index}`,
  prompt_id: prompts[random.integer(prompts.length)]!.prompt_id,
  reward: round(random.normal()),
  index,
}));
const rolloutsFile = files.write('rollouts.jsonl', jsonLines(rollouts));
const referenceFile = files.write('reference.jsonl', jsonLines(prompts));
const rewardsOf = new Map(prompts.map(({ prompt_id, rewards }) => [prompt_id, rewards]));

/** Ĉ by its definition. */
function bruteForce(reward: number, references: readonly number[]): number {
  const wins = references.map((reference): number => (reward > reference ? 1 : reward === reference ? 0.5 : 0));
  return wins.reduce((sum, win) => sum + win, 0) / references.length;
}

function calibrate(...args: string[]) {
  return infalign(['calibrate', ...args], { temporaryFolder });
}

function parsed(text: string) {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, number>);
}

describe('infalign calibrate', () => {
  it.each([
    ['identity', [] as string[], (u: number) => u],
    ['exp:-5', ['--transform', 'exp:-5'], (u: number) => -Math.exp(-5 * u)],
    ['normalised identity', ['--normalised'], (u: number) => (u - 0.5) * Math.sqrt(12)],
  ])('adds what brute force gives, for %s, and keeps all else in its order', (_, args, transform) => {
    const { code, stdout, stderr } = calibrate('--rollouts', rolloutsFile, '--reference', referenceFile, ...args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const output = parsed(stdout);
    expect(output.length).toBe(rollouts.length);
    output.forEach(({ calibrated_reward, transformed_reward, ...rest }, index) => {
      expect(rest).toEqual(rollouts[index]);
      const expected = bruteForce(rollouts[index]!.reward, rewardsOf.get(rollouts[index]!.prompt_id)!);
      expect(calibrated_reward).toBeCloseTo(expected, 12);
      expect(transformed_reward).toBeCloseTo(transform(expected), 9);
    });
  });

  it('writes finite numbers for log, also for a rollout that beats none', () => {
    const { stdout } = calibrate('--rollouts', rolloutsFile, '--reference', referenceFile, '--transform', 'log');
    let lowest = 0;
    parsed(stdout).forEach(({ calibrated_reward, transformed_reward }, index) => {
      const count = rewardsOf.get(rollouts[index]!.prompt_id)!.length;
      if (calibrated_reward === 0) lowest++;
      expect(transformed_reward).toBeCloseTo(Math.log(Math.max(calibrated_reward!, 1 / (2 * count))), 12);
    });
    expect(lowest).toBeGreaterThan(0);
  });

  it('leaves a rollout out of its own reference set when told so', () => {
    const own = prompts.flatMap(({ prompt_id, rewards }) =>
      rewards.map((reward, index) => ({ prompt_id, reward, index })),
    );
    const ownFile = files.write('own.jsonl', jsonLines(own));
    const { stdout } = calibrate(
      ...['--rollouts', ownFile, '--reference', referenceFile, '--leave-one-out', '--transform', 'log'],
    );
    parsed(stdout).forEach(({ calibrated_reward, transformed_reward }, index) => {
      const { prompt_id, reward, index: itself } = own[index]!;
      const others = rewardsOf.get(prompt_id)!.filter((_, other) => other !== itself);
      const expected = bruteForce(reward, others);
      expect(calibrated_reward).toBeCloseTo(expected, 12);
      expect(transformed_reward).toBeCloseTo(Math.log(Math.max(expected, 1 / (2 * others.length))), 12);
    });

    const foreign = files.write('foreign.jsonl', jsonLines([own[0]!, { prompt_id: own[0]!.prompt_id, reward: 77 }]));
    const { code, stderr } = calibrate('--rollouts', foreign, '--reference', referenceFile, '--leave-one-out');
    expect(code).toBe(1);
    expect(stderr).toContain(`${foreign}:2: prompt "0": reward 77 is not among the reference rewards`);
  });

  it('writes the same file through temporary files, compressed files and pipes, and whatever the order of the references', () => {
    const { stdout: expected } = calibrate('--rollouts', rolloutsFile, '--reference', referenceFile);
    const reversed = files.write('reversed.jsonl.gz', gzipSync(jsonLines([...prompts].reverse())));
    const packed = files.write('rollouts.jsonl.gz', gzipSync(jsonLines(rollouts)));
    const output = files.path('calibrated.jsonl');
    for (const memory of ['256', '0.02', '0']) {
      for (const input of [rolloutsFile, packed]) {
        const { code, stdout, stderr } = calibrate(
          ...['--rollouts', input, '--reference', reversed, '--memory', memory, '--out', output],
        );
        expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
        expect(files.read('calibrated.jsonl') === expected).toBe(true);
      }
      const command = `cat "${rolloutsFile}" | "${process.execPath}" "${inject('program')}" calibrate --rollouts /dev/stdin`;
      const piped = spawnSync('bash', ['-c', `${command} --reference "${referenceFile}" --memory ${memory}`], {
        encoding: 'utf8',
      });
      expect(piped.stdout === expected).toBe(true);
    }
    calibrate('--rollouts', rolloutsFile, '--reference', referenceFile, '--out', files.path('calibrated.jsonl.gz'));
    expect(gunzipSync(readFileSync(files.path('calibrated.jsonl.gz'))).toString() === expected).toBe(true);
    expect(files.list().filter((name) => name.startsWith('temporary/') || name.includes('partial'))).toEqual([]);
  });

  it('may replace its own input', () => {
    const { stdout: expected } = calibrate('--rollouts', rolloutsFile, '--reference', referenceFile);
    const copy = files.write('in-place.jsonl', jsonLines(rollouts));
    expect(calibrate('--rollouts', copy, '--reference', referenceFile, '--out', copy, '--memory', '0').code).toBe(0);
    expect(files.read('in-place.jsonl') === expected).toBe(true);
  });

  it.runIf(process.platform === 'linux')('ends quietly when nobody reads on', () => {
    const command = `"${process.execPath}" "${inject('program')}" calibrate --rollouts "${rolloutsFile}" --reference "${referenceFile}"`;
    const { stdout, stderr } = spawnSync('bash', ['-c', `${command} | head -n 1; echo "\${PIPESTATUS[0]}"`], {
      encoding: 'utf8',
    });
    expect(stdout.split('\n')).toEqual([expect.stringContaining('calibrated_reward'), '0', '']);
    expect(stderr).toBe('');
  });

  describe('with bad input', () => {
    const good = jsonLines(rollouts.slice(0, 50));
    const cases: [string, string, string, string[], RegExp][] = [
      [
        'malformed JSON',
        `${good}{"prompt_id": 0 "reward": 1}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: is not valid JSON; each line must be/,
      ],
      [
        'a truncated last line',
        good.slice(0, -5),
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:50: the last line is truncated; write the file again/,
      ],
      [
        'a renamed field',
        `${good}{"prompt_id": 0, "score": 1}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: the field "reward" is missing \(this line has "prompt_id", "score"\)/,
      ],
      [
        'NaN',
        `${good}{"prompt_id": 0, "reward": NaN}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: NaN or Infinity is not a finite number/,
      ],
      [
        'an infinite reward',
        `${good}{"prompt_id": 0, "reward": -1e999}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: reward is too large for a double/,
      ],
      [
        'null',
        `${good}{"prompt_id": 0, "reward": null}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: reward is null; it must be a finite number/,
      ],
      [
        'a string',
        `${good}{"prompt_id": 0, "reward": "1"}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: reward is the string "1"; it must be a finite number/,
      ],
      [
        'a prompt without reference rewards',
        `${good}{"prompt_id": "other", "reward": 1}\n`,
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:51: prompt "other" has no reference rewards in .*; add a line for it there/,
      ],
      [
        'no reference rewards in a list',
        good,
        `${jsonLines(prompts)}{"prompt_id":"x","rewards":[]}\n`,
        [],
        /reference\.jsonl:301: rewards of prompt "x" is empty/,
      ],
      [
        'the same prompt twice',
        good,
        jsonLines([...prompts, prompts[9]!]),
        [],
        /reference\.jsonl:301: prompt "prompt 9" is already on line 10; put all/,
      ],
      ['an empty file of rollouts', '', jsonLines(prompts), [], /rollouts\.jsonl: is empty/],
      ['an empty reference file', good, '', [], /reference\.jsonl: is empty/],
      [
        'lines that are calibrated already',
        jsonLines([{ ...rollouts[0], calibrated_reward: 0 }]),
        jsonLines(prompts),
        [],
        /rollouts\.jsonl:1: has a field "calibrated_reward" already/,
      ],
      [
        'an unknown transformation',
        good,
        jsonLines(prompts),
        ['--transform', 'square'],
        /unknown transformation 'square': use identity, log, exp:T/,
      ],
      [
        'a negative memory budget',
        good,
        jsonLines(prompts),
        ['--memory', '-1'],
        /--memory is "-1"; it must be a number of MiB, at least 0/,
      ],
    ];
    for (const [name, rolloutsText, referenceText, args, message] of cases) {
      it(`says what is wrong with ${name}, and leaves the earlier output as it was`, () => {
        const bad = newTestFolder();
        const input = bad.write('rollouts.jsonl', rolloutsText);
        const reference = bad.write('reference.jsonl', referenceText);
        const output = bad.write('out.jsonl', 'earlier\n');
        for (const memory of args.length === 0 ? ['256', '0'] : ['256']) {
          const outcome = infalign(
            ['calibrate', '--rollouts', input, '--reference', reference, '--out', output, '--memory', memory, ...args],
            { temporaryFolder: bad.temporaryFolder },
          );
          expect(outcome.stderr).toMatch(message);
          expect(outcome.stderr).toMatch(/^infalign: [^\n]*\n$/);
          expect(outcome).toMatchObject({ code: 1, stdout: '' });
          expect(bad.read('out.jsonl')).toBe('earlier\n');
          expect(bad.list()).toEqual(['out.jsonl', 'reference.jsonl', 'rollouts.jsonl', 'temporary']);
        }
        bad.remove();
      });
    }

    it('says which file is missing, cannot be written or is not what its name says', () => {
      const missing = calibrate('--rollouts', files.path('none.jsonl'), '--reference', referenceFile);
      expect(missing).toMatchObject({
        code: 1,
        stderr: `infalign: ${files.path('none.jsonl')}: no such file; check the path\n`,
      });
      const folder = calibrate('--rollouts', rolloutsFile, '--reference', temporaryFolder);
      expect(folder).toMatchObject({ code: 1, stderr: `infalign: ${temporaryFolder}: is a folder; name a file\n` });
      const nowhere = calibrate(
        '--rollouts',
        rolloutsFile,
        '--reference',
        referenceFile,
        '--out',
        files.path('no/out'),
      );
      expect(nowhere).toMatchObject({
        code: 1,
        stderr: `infalign: ${files.path('no/out')}: no such file; check the path\n`,
      });
      const plain = files.write('plain.gz', jsonLines(rollouts));
      expect(calibrate('--rollouts', plain, '--reference', referenceFile).stderr).toContain(
        `${plain}: is not valid gzip data`,
      );
    });

    it.runIf(existsSync('/dev/full'))('says that the disk is full, for a file and for standard output', () => {
      const args = ['calibrate', '--rollouts', rolloutsFile, '--reference', referenceFile];
      expect(infalign([...args, '--out', '/dev/full'])).toMatchObject({
        code: 1,
        stderr: 'infalign: /dev/full: no space left on the disk; free some space, or choose another disk\n',
      });
      const command = `"${process.execPath}" "${inject('program')}" ${args.map((arg) => `"${arg}"`).join(' ')} > /dev/full`;
      const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
      expect({ status, stderr }).toEqual({
        status: 1,
        stderr: 'infalign: standard output: no space left on the disk; free some space, or choose another disk\n',
      });
    });

    it.runIf(process.platform === 'linux')(
      'says that the file is too large for a limit, and leaves nothing of it',
      () => {
        const output = files.path('limited.jsonl');
        const command =
          `ulimit -f 64; "${process.execPath}" "${inject('program')}" calibrate ` +
          `--rollouts "${rolloutsFile}" --reference "${referenceFile}" --out "${output}"`;
        const { status, stderr } = spawnSync('bash', ['-c', command], { encoding: 'utf8' });
        expect(stderr).toBe(
          `infalign: ${output}: the file would grow beyond what this file system or limit allows; choose another disk\n`,
        );
        expect(status).toBe(1);
        expect(files.list().filter((name) => name.startsWith('limited'))).toEqual([]);
      },
    );
  });

  it.runIf(process.platform !== 'win32')('leaves nothing behind when it is interrupted', async () => {
    const pipe = files.path('endless');
    execFileSync('mkfifo', [pipe]);
    const output = files.path('interrupted.jsonl');
    const args = ['calibrate', '--rollouts', pipe, '--reference', referenceFile, '--memory', '0', '--out', output];
    const { child, ended } = startInfalign(args, temporaryFolder);
    const { open } = await import('node:fs/promises');
    const writer = await open(pipe, 'w');
    await writer.write(jsonLines(rollouts).repeat(20));
    while (!files.list().some((name) => name.startsWith('temporary/')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGINT');
    const outcome = await ended;
    await writer.close();
    expect(outcome).toEqual({ code: null, signal: 'SIGINT', stdout: '', stderr: '' });
    expect(files.list().filter((name) => name.startsWith('temporary/') || name.startsWith('interrupted'))).toEqual([]);
  });

  it('keeps the mode of a file that it replaces', () => {
    const output = files.write('private.jsonl', '');
    execFileSync('chmod', ['600', output]);
    calibrate('--rollouts', rolloutsFile, '--reference', referenceFile, '--out', output);
    expect(statSync(output).mode & 0o777).toBe(0o600);
    expect(statSync(output).size).toBeGreaterThan(0);
  });
});
