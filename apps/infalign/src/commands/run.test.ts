import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readCheckpoint } from '@infalign/checkpoint';
import { optimumOnRewards, parseProcedure, seededRandom, theory } from '@infalign/core';
import { afterAll, describe, expect, it } from 'vitest';
import { infalign, newTestFolder, startInfalign, type Outcome } from '../program.fixture.js';

const folder = newTestFolder();
afterAll(() => folder.remove());

/** The whole method, as small as it goes. */
const settings = `
name: tiny
seed: 3
prompts: {tokens: 8, train: 16, calibration: 8, evaluation: 8}
tokenizer: {vocabulary: 400}
model: {hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2, key_value_heads: 1, context: 32,
  training: {steps: 60, batch: 16, window: 24, warmup_steps: 5, learning_rate: 5e-3}}
judge: {pairs: 24, held_out_pairs: 8, model: {hidden_size: 48, intermediate_size: 96, layers: 1, heads: 2, key_value_heads: 1,
  context: 32, training: {steps: 20, batch: 8, window: 24, warmup_steps: 5}}}
sampling: {max_response_tokens: 16}
calibration: {references: 16}
runs: {methods: ["ppo/exp:5"], target_kls: [0.2]}
procedures: [standard, "bon:4"]
ppo: {iterations: 3, prompts_per_iteration: 8, rollouts_per_prompt: 4, advantages: value}
evaluation: {samples: 8, bootstrap_resamples: 200}
`;
const sentiment = `${settings}
dataset: {kind: state-of-the-union}
reward_model: {pairs: 24, held_out_pairs: 8}
`;

/** Runs the program; `killAfterMs` ends it, and it alone, by SIGKILL. */
async function run(args: readonly string[], killAfterMs?: number): Promise<Outcome> {
  const { child, ended } = startInfalign(['run', ...args], folder.temporaryFolder);
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const outcome = await ended;
  clearTimeout(timer);
  return outcome;
}

function experiment(name: string, text: string): string {
  return folder.write(`${name}.yaml`, text);
}

/** What the same seed must give again. */
function reproducible(out: string): string {
  const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Record<string, unknown>;
  delete results.machine;
  delete results.times;
  return JSON.stringify(results);
}

describe('infalign run', () => {
  let millisecondsOfTheStraightRun: number;

  it('goes from text to a report', { timeout: 180_000 }, async () => {
    const out = folder.path('straight');
    const began = performance.now();
    const { code, stdout, stderr } = await run([experiment('straight', sentiment), '--out', out]);
    millisecondsOfTheStraightRun = performance.now() - began;
    expect(stderr).toContain('8 of 8');
    expect(code).toBe(0);
    expect(stdout).toContain(join(out, 'report.html'));
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('exp:5');
    const results = JSON.parse(reproducible(out)) as {
      runs: { training: unknown[]; kl: { exact: { mean: number } } }[];
    };
    expect(results.runs).toHaveLength(1);
    expect(results.runs[0]!.training).toHaveLength(3);
    expect(results.runs[0]!.kl.exact.mean).toBeGreaterThan(0);
  });

  it('gives the same bytes when it is killed again and again, and resumed', { timeout: 400_000 }, async () => {
    const out = folder.path('killed');
    const file = experiment('killed', sentiment);
    const random = seededRandom('kills');
    let kills = 0;
    for (let attempt = 0; attempt < 60; attempt++) {
      // Shares of the time that this machine takes, and longer from life to life: however slow or busy it has become
      // since then, some life is long enough for the next step to be kept.
      const life = millisecondsOfTheStraightRun * (0.1 + 0.3 * random.uniform()) * 1.05 ** attempt;
      const { code } = await run([file, '--out', out, '--resume'], life);
      if (code === 0) break;
      expect(code).toBeNull();
      kills++;
    }
    expect(kills).toBeGreaterThan(2);
    expect(reproducible(out)).toBe(reproducible(folder.path('straight')));
  });

  it('does not go on with another experiment, nor with one it was not asked to resume', async () => {
    const out = folder.path('straight');
    const other = await run([experiment('other', sentiment.replace('seed: 3', 'seed: 4')), '--out', out, '--resume']);
    expect(other).toMatchObject({ code: 1, stdout: '' });
    expect(other.stderr).toMatch(/holds another experiment.*--out/s);
    const again = await run([experiment('straight', sentiment), '--out', out]);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('--resume');
    mkdirSync(folder.path('foreign'));
    writeFileSync(join(folder.path('foreign'), 'letter.txt'), 'Dear');
    const foreign = await run([experiment('straight', sentiment), '--out', folder.path('foreign')]);
    expect(foreign.code).toBe(1);
    expect(readdirSync(folder.path('foreign'))).toEqual(['letter.txt']);
  });

  it('goes on with further runs and procedures, and does not repeat what is done', { timeout: 120_000 }, async () => {
    const out = folder.path('straight');
    const before = JSON.parse(reproducible(out)) as { runs: unknown[] };
    const more = sentiment.replace('["ppo/exp:5"]', '["ppo/exp:5", ppo/identity, ppo/raw]');
    expect(more).not.toBe(sentiment);
    // Who follows it has seen enough after the first event; the run goes on.
    const { child, ended } = startInfalign(
      ['run', experiment('more', more), '--out', out, '--resume', '--json'],
      folder.temporaryFolder,
    );
    child.stdout.once('data', () => child.stdout.destroy());
    expect(await ended).toMatchObject({ code: 0, stderr: '' });
    const after = JSON.parse(reproducible(out)) as { runs: { method: string }[] };
    expect(after.runs.map(({ method }) => method)).toEqual(['ppo/exp:5', 'ppo/identity', 'ppo/raw']);
    expect(after.runs[0]).toEqual(before.runs[0]);
    mkdirSync(folder.path('three-methods'));
    copyFileSync(join(out, 'results.json'), join(folder.path('three-methods'), 'results.json'));
    // Other procedures are read off the same samples.
    const measured = sentiment.replace('"bon:4"', '"bon:4", "bon:8"');
    expect(measured).not.toBe(sentiment);
    const { code, stderr } = await run([experiment('measured', measured), '--out', out, '--resume']);
    expect({ code, started: stderr.includes(': started') }).toEqual({ code: 0, started: false });
    expect((JSON.parse(reproducible(out)) as { procedures: string[] }).procedures).toContain('bon:8');
    // And as it was in the beginning: it is all there.
    expect(await run([experiment('straight', sentiment), '--out', out, '--resume'])).toMatchObject({ code: 0 });
    expect(JSON.parse(reproducible(out))).toEqual(before);
  });

  describe('leaves results.json, of which infalign results', () => {
    const threeMethods = folder.path('three-methods');
    interface Row {
      readonly method: string;
      readonly n: number | null;
      readonly procedure: string;
      readonly kl: number;
      readonly win_rate: number | null;
      readonly judge_win_rate: number | null;
      readonly optimum?: number | null;
    }
    interface Printed {
      readonly rows: readonly Row[];
      readonly methods: readonly Row[];
      readonly comparisons: readonly (Row & {
        baseline: string;
        difference: number;
        ci_low: number;
        ci_high: number;
      })[];
    }
    const printed = (args: readonly string[]): Printed => {
      const { code, stdout, stderr } = infalign(['results', ...args, '--json']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return JSON.parse(stdout) as Printed;
    };

    it('prints the rows, and the methods at the same KL with their differences', () => {
      const { rows } = printed([threeMethods]);
      // 16 references a prompt are enough for one of the best of 2, 4 and 8, and for four of the best of 2.
      expect(rows.map(({ method, n, procedure }) => [n === null ? method : `${method} ${n}`, procedure])).toEqual([
        ['ppo/exp:5', 'standard'],
        ['ppo/exp:5', 'bon:4'],
        ['ppo/identity', 'standard'],
        ['ppo/identity', 'bon:4'],
        ['ppo/raw', 'standard'],
        ['ppo/raw', 'bon:4'],
        ['best-of-n 2', 'standard'],
        ['best-of-n 2', 'bon:4'],
        ['best-of-n 4', 'standard'],
        ['best-of-n 8', 'standard'],
      ]);
      const identity = rows[3]!;
      const bestOf2 = rows[7]!;
      expect(bestOf2.kl).toBeCloseTo(Math.log(2) - 1 / 2, 8);
      // So small an experiment comes nowhere near the KL it asked for, but at a run's own KL the method is the run.
      const [at] = printed([threeMethods, '--kl', String(identity.kl)]).methods.filter(
        ({ method, procedure }) => method === 'ppo/identity' && procedure === 'bon:4',
      );
      expect(at!.win_rate).toBeCloseTo(identity.win_rate!, 8);
      expect(at!.judge_win_rate).toBeCloseTo(identity.judge_win_rate!, 8);
      const { file, kl } = atOneKl();
      const { comparisons } = printed([file, '--kl', kl, '--baseline', 'ppo/exp:5']);
      expect(comparisons.map(({ procedure, method }) => `${procedure} ${method}`).sort()).toEqual([
        'bon:4 ppo/identity',
        'bon:4 ppo/raw',
        'standard ppo/identity',
        'standard ppo/raw',
      ]);
      for (const { baseline, difference, ci_low, ci_high } of comparisons) {
        expect(baseline).toBe('ppo/exp:5');
        expect(ci_low).toBeLessThan(difference);
        expect(ci_high).toBeGreaterThan(difference);
      }
    });

    it('tells what the optimum of each reward reaches, of the raw one as base rollouts of the calibration prompts say', () => {
      const { calibration } = JSON.parse(
        readFileSync(join(folder.path('straight'), 'references', 'held-out', 'result.json'), 'utf8'),
      ) as { calibration: { rewards: number[]; fresh: number[] }[] };
      const raw = optimumOnRewards(
        calibration.map(({ rewards, fresh }) => [...rewards, ...fresh]),
        { kl: 0.2 },
      );
      const { methods } = printed([threeMethods, '--kl', '0.2']);
      // Curves of results are joined between points: right to a tenth of a point.
      for (const procedure of ['standard', 'bon:4']) {
        const optimum = (method: string) =>
          methods.find((row) => row.method === method && row.procedure === procedure)!.optimum!;
        expect(optimum('ppo/raw')).toBeCloseTo(raw.winRate(parseProcedure(procedure)), 3);
        expect(optimum('ppo/exp:5')).toBeCloseTo(theory({ procedure, transform: 'exp:5', kl: 0.2 }).winRate, 3);
      }
    });

    /** The same results, had all runs come to the KL of the first: how far apart so few iterations end is chance. */
    function atOneKl(): { readonly file: string; readonly kl: string } {
      const results = JSON.parse(readFileSync(join(threeMethods, 'results.json'), 'utf8')) as {
        runs: { kl: { exact: { mean: number } } }[];
      };
      const { kl } = results.runs[0]!;
      const file = folder.write(
        'one-kl.json',
        JSON.stringify({ ...results, runs: results.runs.map((run) => ({ ...run, kl })) }),
      );
      return { file, kl: String(kl.exact.mean) };
    }

    const page = readFileSync(new URL('../../../../docs/results-files.md', import.meta.url), 'utf8');

    it('shows what docs/results-files.md says, by the commands that stand there', () => {
      const commands = [...page.matchAll(/^\$ npx infalign (.*)$/gm)].map(([, command]) => command!);
      expect(commands.length).toBeGreaterThan(3);
      for (const command of commands) {
        const args = command
          .replace('runs/quickstart', threeMethods)
          .replace('ppo/identity', 'ppo/exp:5')
          .replace('frontier.svg', folder.path('frontier.svg'))
          .split(' ');
        const { code, stdout, stderr } = infalign(args);
        expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' });
        if (args.includes('--json')) continue;
        expect(stdout).toMatch(/^bon:4$/m);
        expect(stdout).toMatch(/ best-of-8 +– +– +1\.204 /);
        expect(stdout).not.toMatch(/NaN|undefined|null/);
      }
      expect(readFileSync(folder.path('frontier.svg'), 'utf8')).toMatch(/^<svg [^]*Best of 4[^]*<\/svg>/);
    });

    it('has no field that docs/results-files.md does not tell of', () => {
      const { file, kl } = atOneKl();
      const { rows, methods, comparisons } = printed([file, '--kl', kl]);
      const fields = [rows, methods, comparisons].flatMap((list) => Object.keys(list[0]!));
      for (const field of fields) expect(page).toContain(`\`${field}\``);
    });

    it('names what is missing or unknown, and what to do about it', () => {
      const failing = (...args: string[]): string => {
        const { code, stdout, stderr } = infalign(['results', ...args]);
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
        expect(stderr).not.toContain('    at ');
        return stderr;
      };
      expect(failing(folder.path('nowhere'))).toMatch(/nowhere: is not there.*--resume/);
      expect(failing(folder.temporaryFolder)).toMatch(/results\.json: is not there/);
      expect(failing(threeMethods, '--baseline', 'ppo')).toMatch(
        /no method ppo.*ppo\/exp:5, ppo\/identity, ppo\/raw and best-of-n/,
      );
      expect(failing(threeMethods, '--kl', '0')).toMatch(/--kl is "0"; it must be a number above 0/);
    });
  });

  it('begins with pretrained models, with the tokenizer that they have', { timeout: 120_000 }, async () => {
    const straight = folder.path('straight');
    const pretrained = (step: string) => `{kind: pretrained, path: ${join(straight, step, 'model')}}`;
    const text = sentiment
      .replace(/^tokenizer: .*\n/m, '')
      .replace(/^model: [^]*?\}\}\n/m, `model: ${pretrained('base')}\n`)
      .replace(/model: \{hidden_size: 48[^]*?\}\}\}/m, `model: ${pretrained('judge-base')}}`);
    expect(text.match(/kind: pretrained/g)).toHaveLength(2);
    const out = folder.path('pretrained');
    expect(await run([experiment('pretrained', text), '--out', out])).toMatchObject({ code: 0 });
    // The models that the other experiment trained itself: all that follows is the same.
    const results = (place: string) =>
      JSON.parse(reproducible(place)) as { runs: unknown; proxy: unknown; judge: unknown; base_model: object };
    expect(results(out).runs).toEqual(results(straight).runs);
    expect([results(out).proxy, results(out).judge]).toEqual([results(straight).proxy, results(straight).judge]);
    expect(results(out).base_model).toEqual({
      ...results(straight).base_model,
      training_tokens: 0,
      training_loss: [],
      validation_loss: [],
    });
    expect(readFileSync(join(out, 'report.html'), 'utf8')).toContain('pretrained, and taken as it is.');
  });

  it('names a damaged checkpoint, and what to do about it', { timeout: 60_000 }, async () => {
    const out = folder.path('straight');
    const model = join(out, 'base', 'model', 'model.safetensors');
    const bytes = readFileSync(model);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(model, bytes);
    rmSync(join(out, 'reward-model'), { recursive: true });
    const { code, stderr } = await run([experiment('straight', sentiment), '--out', out, '--resume']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/reward-model.*model\.safetensors.*damaged/s);
    expect(stderr).not.toContain('    at ');
  });

  it('trains on people’s comparisons of summaries, in the official files of TL;DR', { timeout: 240_000 }, async () => {
    const random = seededRandom('posts');
    const words = 'my friend and I had a long talk about the old house that we both want to buy next year'.split(' ');
    const said = (count: number) => Array.from({ length: count }, () => words[random.integer(words.length)]).join(' ');
    const posts = Array.from({ length: 150 }, (_, index) => ({
      id: `t3_${index}`,
      subreddit: 'advice',
      title: said(3),
      post: `${said(10)}\n${said(20)}`,
    }));
    const compared = posts.slice(50).flatMap((info, index) =>
      [0, 1].map((choice) => ({
        info,
        summaries: [0, 1].map((own) => ({ text: ` ${own === choice ? 'we' : 'they'} ${said(4)}`, policy: 'ref' })),
        choice,
        split: index < 70 ? 'train' : 'valid2',
      })),
    );
    const lines = (records: readonly object[]) => records.map((record) => `${JSON.stringify(record)}\n`).join('');
    const place = folder.path('tldr-data');
    for (const name of ['comparisons', 'tldr_3_filtered']) mkdirSync(join(place, name), { recursive: true });
    writeFileSync(join(place, 'comparisons', 'batch9.json'), lines(compared));
    const whole = posts.slice(0, 50).map((post) => ({ ...post, summary: said(5) }));
    writeFileSync(join(place, 'tldr_3_filtered', 'train.jsonl'), lines(whole));

    const out = folder.path('summarisation');
    const longer = settings.replaceAll('context: 32', 'context: 65').replace('tokens: 8', 'tokens: 48');
    const text = `${longer.replace('vocabulary: 400', 'vocabulary: 340')}
dataset: {kind: tldr, path: tldr-data}
reward_model: {labels: human, pairs: 40, held_out_pairs: 10}
`;
    const { code, stderr } = await run([experiment('summarisation', text), '--out', out]);
    expect(stderr).toContain('8 of 8');
    expect(code).toBe(0);
    const results = JSON.parse(reproducible(out)) as {
      dataset: { name: string };
      samples: { prompt: string }[];
      proxy: { training_pairs: number; held_out_pairs: number };
      judge: { training_pairs: number; held_out_pairs: number };
    };
    expect(results.dataset.name).toBe('Reddit TL;DR');
    expect(results.proxy).toMatchObject({ training_pairs: 40, held_out_pairs: 10 });
    expect(results.judge).toMatchObject({ training_pairs: 24, held_out_pairs: 8 });
    const { files } = readCheckpoint(join(out, 'text', 'text'));
    const pairs = JSON.parse(files.get('human-pairs.json')!.toString()) as Record<string, { promptId: string }[]>;
    const ofValidation = (name: string) =>
      pairs[name]!.map(({ promptId }) => Number(promptId.slice('batch9:'.length)) > 140);
    expect(new Set(ofValidation('heldOut'))).toEqual(new Set([true]));
    expect(new Set([...ofValidation('reward'), ...ofValidation('judge')])).toEqual(new Set([false]));
    const held = new Set(posts.slice(120).map(({ title }) => title));
    for (const { prompt } of results.samples) {
      expect(prompt).toMatch(/^SUBREDDIT: r\/advice\n\nTITLE: .+\n\nPOST: .+\n\nTL;DR:$/s);
      expect(held).toContain(/TITLE: (.+)/.exec(prompt)![1]);
    }
  });

  const comparisons = join(import.meta.dirname, '../../../../../shared/data/hh-rlhf');
  it.skipIf(!existsSync(comparisons))(
    'trains on people’s comparisons of HH-RLHF dialogues, from prompt to report',
    { timeout: 240_000 },
    async () => {
      const out = folder.path('harmlessness');
      const text = `${settings.replaceAll('context: 32', 'context: 64').replace('tokens: 8', 'tokens: 24')}
dataset: {kind: hh-rlhf, path: ${comparisons}}
reward_model: {labels: human, pairs: 24, held_out_pairs: 8}
`;
      const { code, stderr } = await run([experiment('harmlessness', text), '--out', out]);
      expect(stderr).toContain('8 of 8');
      expect(code).toBe(0);
      const results = JSON.parse(reproducible(out)) as { dataset: { name: string }; samples: { prompt: string }[] };
      expect(results.dataset.name).toBe('Anthropic HH-RLHF');
      expect(results.samples[0]!.prompt).toContain('Assistant:');
    },
  );
});
