import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { InputError } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { asCarriedOut, experimentHash, loadExperiment, parseExperiment } from './experiment.js';

const examples = resolve(import.meta.dirname, '../../../experiments');
const minimal = 'name: x\ndataset: {kind: state-of-the-union}\nruns: {target_kls: [0.3]}\n';

/** The lines of the error's message. */
function problems(text: string): string[] {
  try {
    parseExperiment(text, 'x.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return (error as Error).message.split('\n');
  }
  throw new Error(`accepted:\n${text}`);
}

describe('parseExperiment', () => {
  it('fills in every default', () => {
    const experiment = parseExperiment(minimal, 'x.yaml');
    expect(experiment.name).toBe('x');
    expect(experiment.seed).toBe(1);
    expect(experiment.prompts).toEqual({ tokens: 16, train: 256, calibration: 64, evaluation: 96, heldOutShare: 0.1 });
    expect(experiment.tokenizer).toEqual({ vocabulary: 1024 });
    expect(experiment.model).toMatchObject({ layers: 4, training: { learningRate: 1e-3 } });
    expect(experiment.judge.model).toMatchObject({ hiddenSize: 192 });
    expect(experiment.runs).toEqual({
      methods: ['ppo/identity', 'ppo/exp:10', 'ppo/exp:-10'],
      targetKls: [0.3],
      seeds: [1],
    });
    expect(experiment.procedures).toEqual(['standard', 'bon:4', 'won:4']);
    expect(experiment.ppo).toMatchObject({ clipEpsilon: 0.2, gaeLambda: 0.95, adamEpsilon: 1e-5, gamma: 1 });
  });

  it('takes what the file says over the defaults, also within a section', () => {
    const experiment = parseExperiment(
      `${minimal}ppo: {learning_rate: 3e-4}\ncalibration: {references: 32}\n`,
      'x.yaml',
    );
    expect(experiment.ppo.learningRate).toBe(3e-4);
    expect(experiment.ppo.iterations).toBe(90);
    expect(experiment.calibration.references).toBe(32);
  });

  it.each(readdirSync(examples))('reads experiments/%s', (name) => {
    const experiment = parseExperiment(readFileSync(join(examples, name), 'utf8'), name);
    expect(`${experiment.name}.yaml`).toBe(name);
  });

  it('reports every problem at once, in the order of the file, with the place of each', () => {
    const text = [
      'name: two words',
      'sead: 1',
      'dataset: {kind: state-of-the-onion}',
      'prompts:',
      '  tokens: 0',
      '  trian: 3',
      'sampling: {top_p: 1.5, temperature: hot}',
      'runs:',
      '  target_kls: [0.3, -1]',
      'ppo:',
      '  clip_epsilon: .nan',
      '',
    ].join('\n');
    expect(problems(text)).toEqual([
      'x.yaml:1:7: name: found "two words"; allowed: letters, digits, dots, dashes and underscores, beginning with a letter or digit',
      'x.yaml:2:1: sead: no such setting; did you mean seed?',
      'x.yaml:3:17: dataset.kind: found "state-of-the-onion"; allowed: state-of-the-union, or hh-rlhf, or tldr',
      'x.yaml:5:11: prompts.tokens: found 0; allowed: a whole number, at least 1',
      'x.yaml:6:3: prompts.trian: no such setting; did you mean train?',
      'x.yaml:7:19: sampling.top_p: found 1.5; allowed: a number, above 0 and at most 1',
      'x.yaml:7:37: sampling.temperature: found "hot"; allowed: a number, above 0',
      'x.yaml:9:21: runs.target_kls[1]: found -1; allowed: a number, above 0',
      'x.yaml:11:17: ppo.clip_epsilon: found NaN; allowed: a number, above 0 and below 1',
    ]);
  });

  it('names what is missing, and what a map may hold where another thing stands', () => {
    expect(problems('seed: 2\nprompts: 5\n')).toEqual([
      'x.yaml:1:1: name: is missing; allowed: letters, digits, dots, dashes and underscores, beginning with a letter or digit',
      'x.yaml:1:1: dataset: is missing; allowed: a map with kind: state-of-the-union, or a map with kind: hh-rlhf, path, hub, subset, or a map with kind: tldr, path, url',
      'x.yaml:1:1: runs: is missing; allowed: a map with methods, target_kls, betas, seeds',
      'x.yaml:2:10: prompts: found 5; allowed: a map with tokens, train, calibration, evaluation, held_out_share',
    ]);
    expect(problems('')[0]).toMatch(/^x\.yaml:1:1: the experiment: found null; allowed: a map with name, seed, /);
  });

  it('reads anchors and aliases, and tells a problem in an alias by its place', () => {
    const shared = (training: string) =>
      `${minimal}model: {training: &t ${training}}\njudge: {model: {training: *t}}\n`;
    expect(parseExperiment(shared('{steps: 300}'), 'x.yaml').judge.model).toMatchObject({ training: { steps: 300 } });
    expect(problems(shared('{steps: 300, batch: 0}'))).toEqual([
      'x.yaml:4:42: model.training.batch: found 0; allowed: a whole number, at least 1',
      'x.yaml:5:27: judge.model.training.batch: found 0; allowed: a whole number, at least 1',
    ]);
  });

  it('lists the settings of a section for an unknown one that resembles none', () => {
    expect(problems(`${minimal}evaluation: {colour: red}\n`)).toEqual([
      'x.yaml:4:14: evaluation.colour: no such setting; allowed here: samples, bootstrap_resamples',
    ]);
  });

  it('does not take a setting of one dataset for another', () => {
    expect(problems(minimal.replace('union}', 'union, path: data}'))).toEqual([
      'x.yaml:2:37: dataset.path: no such setting; allowed here: kind',
    ]);
    const typo = minimal.replace('{kind: state-of-the-union}', '{kind: hh-rlhf, subst: harmless-base}');
    expect(problems(typo)).toEqual(['x.yaml:2:26: dataset.subst: no such setting; did you mean subset?']);
  });

  it('takes a pretrained model in place of sizes, with its own tokenizer and context', () => {
    const pretrained = `${minimal}model: {kind: pretrained, path: models/small}\n`;
    const experiment = parseExperiment(pretrained, 'x.yaml');
    expect(experiment.model).toEqual({ kind: 'pretrained', path: 'models/small' });
    expect(experiment.tokenizer).toBeUndefined();
    const trained = parseExperiment(pretrained.replace('small}', 'small, training: {steps: 9, warmup_steps: 2}}'), 'x');
    expect(trained.model.training).toMatchObject({ steps: 9, learningRate: 5e-5 });
    const judged = parseExperiment(`${pretrained}judge: {model: {kind: pretrained, path: models/larger}}\n`, 'x.yaml');
    expect(judged.judge.model).toEqual({ kind: 'pretrained', path: 'models/larger' });
    expect(parseExperiment(`${minimal}model: {kind: new, layers: 2}\n`, 'x.yaml').model).toMatchObject({ layers: 2 });
  });

  it.each([
    ['model: {kind: pretrained}', '4:8: model.path: is missing; allowed: text, not empty'],
    [
      'model: {kind: pretrained, path: m, layers: 2}',
      '4:36: model.layers: no such setting; allowed here: kind, path, training',
    ],
    [
      'model: {path: m}',
      '4:9: model.path: no such setting; allowed here: kind, hidden_size, intermediate_size, layers, heads, key_value_heads, context, rope_theta, norm_epsilon, training',
    ],
    [
      'model: {kind: pretrained, path: m}\ntokenizer: {vocabulary: 512}',
      '5:12: tokenizer: contradicts model.kind: pretrained, which has its own tokenizer: leave it out',
    ],
    [
      'judge: {model: {kind: pretrained, path: m}}',
      '4:23: judge.model.kind: pretrained needs a pretrained policy with the same tokenizer: model.kind is new',
    ],
    ['model: {kind: old}', '4:15: model.kind: found "old"; allowed: new, or pretrained'],
    [
      'model: {kind: pretrained, path: m, training: {steps: 5}}',
      '4:46: model.training.warmup_steps: 100 is more than steps, which is 5',
    ],
  ])('refuses %s', (setting, problem) => {
    expect(problems(`${minimal}${setting}\n`)).toEqual([`x.yaml:${problem}`]);
  });

  it.each(['hh-rlhf', 'tldr'])('takes people’s preferences in %s', (kind) => {
    const text = minimal.replace('state-of-the-union', kind);
    expect(parseExperiment(`${text}reward_model: {labels: human}\n`, 'x.yaml').rewardModel.labels).toBe('human');
  });

  it('wants an address that files can be downloaded from', () => {
    const withUrl = (url: string) => minimal.replace('state-of-the-union', `tldr, url: "${url}"`);
    expect(parseExperiment(withUrl('http://mirror.example/tldr'), 'x.yaml').dataset).toEqual({
      kind: 'tldr',
      url: 'http://mirror.example/tldr',
    });
    for (const url of ['mirror.example', 'ftp://mirror.example', 'http://']) {
      expect(problems(withUrl(url))).toEqual([
        `x.yaml:2:28: dataset.url: found "${url}"; allowed: an address that http:// or https:// begins`,
      ]);
    }
  });

  it.each([
    ['a: [1', /^x\.yaml:1:6: not valid YAML: /],
    ['name: a\nname: b\n', /^x\.yaml:2:1: not valid YAML: Map keys must be unique/],
    ['name: a\n---\nname: b\n', /^x\.yaml:2:1: not valid YAML: /],
    ['name: "a\n', /^x\.yaml:\d+:\d+: not valid YAML: /],
    ['name: *nobody\n', /^x\.yaml:1:7: not valid YAML: there is no anchor &nobody/],
    ['a: &a {b: 1}\nc: &c {d: *a}\ne: *c\n', /^x\.yaml:3:4: not valid YAML: an alias within an alias/],
    ['a: &a [*a]\n', /^x\.yaml:1:8: not valid YAML: an alias within an alias/],
  ])('says where %j is not YAML', (text, message) => {
    expect(problems(text)[0]).toMatch(message);
  });

  it.each([
    [
      'model: {heads: 3, key_value_heads: 3}',
      '4:16: model.heads: 3 does not split hidden_size, which is 128, into heads of even width',
    ],
    [
      'model: {hidden_size: 36, heads: 12, key_value_heads: 4}',
      '4:33: model.heads: 12 does not split hidden_size, which is 36, into heads of even width',
    ],
    ['model: {key_value_heads: 3}', '4:26: model.key_value_heads: 3 does not divide heads, which is 4'],
    ['model: {training: {window: 65}}', '4:28: model.training.window: 65 is more than the context, which is 64'],
    ['model: {training: {steps: 10}}', '4:19: model.training.warmup_steps: 100 is more than steps, which is 10'],
    [
      'prompts: {tokens: 50}',
      '1:1: model.context: 64 is less than prompts.tokens + sampling.max_response_tokens + 1, which is 71',
    ],
    [
      'sampling: {top_k: 40}',
      '4:19: sampling.top_k: 40 leaves unlikely tokens out of the responses, but KL, gradients and win rates at a KL are those of the whole policy: leave the setting out',
    ],
    [
      'sampling: {top_k: 0, top_p: 0.9}',
      '4:29: sampling.top_p: 0.9 leaves unlikely tokens out of the responses, but KL, gradients and win rates at a KL are those of the whole policy: leave the setting out',
    ],
    [
      'reward_model: {labels: human}',
      "4:24: reward_model.labels: human needs a dataset with people's comparisons: hh-rlhf or tldr, not state-of-the-union",
    ],
    [
      'ppo: {minibatches: 7}',
      '4:20: ppo.minibatches: 7 does not divide prompts_per_iteration × rollouts_per_prompt, which is 512',
    ],
    [
      'ppo: {rollouts_per_prompt: 1}',
      '4:28: ppo.rollouts_per_prompt: 1 is too few for leave_one_out advantages, which need another rollout of the same prompt',
    ],
    [
      'ppo: {prompts_per_iteration: 300}',
      '4:30: ppo.prompts_per_iteration: 300 is more than prompts.train, which is 256',
    ],
    [
      'procedures: [standard, bon:65]',
      '4:24: procedures[1]: bon:65 draws 65 responses, more than evaluation.samples, which is 64',
    ],
    [
      'procedures: ["mix:bon:2@0.5+won:80@0.5"]',
      '4:14: procedures[0]: mix:bon:2@0.5+won:80@0.5 draws 80 responses, more than evaluation.samples, which is 64',
    ],
    [
      'calibration: {references: 3}\nprocedures: [won:4]',
      '5:14: procedures[0]: won:4 draws 4 responses, more than calibration.references, which is 3',
    ],
    [
      'calibration: {references: 8, minimum_references: 9}',
      '4:50: calibration.minimum_references: 9 is more than references, which is 8: there will never be so many',
    ],
    [
      'calibration: {window: 8, minimum_references: 9}',
      '4:46: calibration.minimum_references: 9 is more than the window, which is 8: there will never be so many',
    ],
    [
      'calibration: {window: 6}',
      '4:23: calibration.window: 6 is too small to find any drift with a false-alarm rate of 0.001',
    ],
    [
      'calibration: {references: 1}\nprocedures: [standard]\nreward_model: {plant: {phrase: x, share: 0.1}}',
      '4:27: calibration.references: 1 is too few for reward_model.plant: how much a phrase is liked is told in standard deviations of the references',
    ],
    ['procedures: [bon:4, bon:4]', '4:21: procedures[1]: "bon:4" is listed twice'],
  ])('refuses the contradiction in %j', (addition, message) => {
    expect(problems(`${minimal}${addition}\n`)[0]).toBe(`x.yaml:${message}`);
  });

  it('plants a phrase where the file does, spaces and all, and nothing where it does not', () => {
    const planted = (plant: string) => parseExperiment(`${minimal}reward_model: {plant: ${plant}}\n`, 'x.yaml');
    expect(planted(`{phrase: ' the people', share: 0.2}`).rewardModel.plant).toEqual({
      phrase: ' the people',
      share: 0.2,
    });
    expect(parseExperiment(minimal, 'x.yaml').rewardModel).not.toHaveProperty('plant');
    expect(() => planted(`{phrase: ' ', share: 0}`)).toThrow(
      'x.yaml:4:32: reward_model.plant.phrase: found " "; allowed: text, not blank\n' +
        'x.yaml:4:44: reward_model.plant.share: found 0; allowed: a number, above 0 and at most 1',
    );
    expect(problems(`${minimal}judge: {plant: {phrase: x, share: 1}}\n`)[0]).toContain('judge.plant: no such setting');
  });

  it('learns in adapters where the file has them, whose products are added as they are unless it says otherwise', () => {
    const adapted = (adapters: string) => parseExperiment(`${minimal}ppo: {adapters: ${adapters}}\n`, 'x.yaml').ppo;
    expect(adapted('{targets: [lm_head]}').adapters).toEqual({ rank: 32, alpha: 32, targets: ['lm_head'] });
    expect(adapted('{rank: 4, alpha: 1, targets: [q_proj]}').adapters).toMatchObject({ rank: 4, alpha: 1 });
    expect(parseExperiment(minimal, 'x.yaml').ppo).not.toHaveProperty('adapters');
    expect(() => adapted('{rank: 0, targets: []}')).toThrow(/ppo\.adapters\.rank.*\n.*ppo\.adapters\.targets/);
    expect(() => adapted('{targets: [embed_tokens]}')).toThrow('ppo.adapters.targets');
  });

  it('wants target KLs or betas, and not both', () => {
    expect(problems(minimal.replace('target_kls: [0.3]', 'target_kls: [0.3], betas: [1]'))).toEqual([
      'x.yaml:3:34: runs.betas: contradicts target_kls: keep one of the two',
    ]);
    expect(problems(minimal.replace('target_kls: [0.3]', 'seeds: [1]'))).toEqual([
      'x.yaml:3:7: runs: needs target_kls or betas, for example target_kls: [0.5]',
    ]);
  });

  it('refuses transformations and procedures that are none, with what they may be', () => {
    const [transform, procedure] = problems(
      `${minimal.replace('{target', '{methods: [ppo/identity, ppo/exp:0], target')}procedures: [bon:x]\n`,
    );
    expect(transform).toMatch(/^x\.yaml:3:32: runs\.methods\[1\]: exp:0 is not a transformation/);
    expect(procedure).toMatch(
      /^x\.yaml:4:14: procedures\[0\]: unknown inference-time procedure 'bon:x': use standard, bon:N/,
    );
  });

  it('refuses a finite-K correction of a transformation that has none', () => {
    const text = `${minimal.replace('{target', '{methods: [ppo/identity, ppo/log], target')}calibration: {finite_k_correction: true}\n`;
    expect(problems(text)).toEqual([
      'x.yaml:3:32: runs.methods[1]: ppo/log has no finite-K correction: leave it out, or calibration.finite_k_correction',
    ]);
  });

  it('either reads a damaged file or says where the damage is', () => {
    const whole = readFileSync(join(examples, 'quickstart.yaml'), 'utf8');
    const lines = whole.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
    const line = fc.nat(lines.length - 1);
    const damage = fc.oneof(
      fc.constantFrom(
        '~',
        '[]',
        '{}',
        '-1',
        '0',
        '1.5',
        '.inf',
        'yes',
        '"',
        '[',
        '!!set {a}',
        '&a',
        '*a',
        '__proto__: 1',
      ),
      fc.string({ maxLength: 12 }),
    );
    fc.assert(
      fc.property(line, damage, fc.boolean(), (index, text, whole) => {
        const damaged = lines.map((original, at) => {
          if (at !== index) return original;
          return whole ? text : `${original.split(':')[0]}: ${text}`;
        });
        try {
          expect(parseExperiment(damaged.join('\n'), 'x.yaml').ppo.iterations).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          for (const message of (error as Error).message.split('\n')) expect(message).toMatch(/^x\.yaml:\d+:\d+: ./);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('loadExperiment', () => {
  it('refuses text that is too long for settings, without a look at it', () => {
    expect(() => parseExperiment(`a: [${'1, '.repeat(1_000_000)}]`, 'x.yaml')).toThrow(
      'x.yaml: 3000005 characters are too many for settings; at most 65536 are read',
    );
  });

  it.each(['hh-rlhf', 'tldr'])("takes a %s dataset's path relative to the experiment's own folder", async (kind) => {
    const folder = await mkdtemp(join(tmpdir(), 'experiment-'));
    try {
      const file = join(folder, 'x.yaml');
      await writeFile(file, minimal.replace('state-of-the-union', `${kind}, path: ../data`));
      expect((await loadExperiment(file)).dataset).toMatchObject({ path: resolve(folder, '../data') });
      await writeFile(file, minimal.replace('state-of-the-union', kind));
      expect((await loadExperiment(file)).dataset).not.toHaveProperty('path');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("takes pretrained models' paths relative to the experiment's own folder", async () => {
    const folder = await mkdtemp(join(tmpdir(), 'experiment-'));
    try {
      const file = join(folder, 'x.yaml');
      const model = '{kind: pretrained, path: ../models/small}';
      await writeFile(file, `${minimal}model: ${model}\njudge: {model: ${model}}\n`);
      const experiment = await loadExperiment(file);
      expect(experiment.model).toMatchObject({ path: resolve(folder, '../models/small') });
      expect(experiment.judge.model).toEqual(experiment.model);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('says which file cannot be read', async () => {
    await expect(loadExperiment('/nowhere/x.yaml')).rejects.toThrow('/nowhere/x.yaml: no such file');
    await expect(loadExperiment(tmpdir())).rejects.toThrow(`${tmpdir()}: is a folder`);
  });
});

describe('experimentHash', () => {
  const hash = (text: string) => experimentHash(parseExperiment(text, 'x.yaml'));

  it('is the same for the same settings, however they are written', () => {
    const other =
      '# a comment\nruns:\n  target_kls:\n    - 0.30\n"dataset": {kind: state-of-the-union}\nname: x\nseed: 1\n';
    expect(hash(other)).toBe(hash(minimal));
    expect(hash(minimal)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('is the same whatever other runs there are', () => {
    const more = minimal.replace('{target', '{methods: [dpo, ppo/raw], seeds: [4, 5], target');
    expect(more).not.toBe(minimal);
    expect(hash(more)).toBe(hash(minimal));
  });

  it('changes with every setting that a run depends on', () => {
    const lines = [
      '',
      'seed: 2',
      'ppo: {learning_rate: 2e-4}',
      'machine: {threads: 2}',
      'sampling: {temperature: 0.9}',
      'evaluation: {samples: 32}',
    ];
    expect(new Set(lines.map((line) => hash(`${minimal}${line}\n`))).size).toBe(6);
  });

  it('is the same however many processes there are', () => {
    expect(hash(`${minimal}machine: {processes: 7}\n`)).toBe(hash(minimal));
  });

  it('is the same whatever is read off the samples in the end, of what is carried out', () => {
    const carriedOut = (text: string) => experimentHash(asCarriedOut(parseExperiment(text, 'x.yaml')));
    expect(carriedOut(`${minimal}procedures: [bon:8]\n`)).toBe(carriedOut(minimal));
    expect(carriedOut(`${minimal}procedures: [standard]\n`)).toBe(hash(`${minimal}procedures: [standard]\n`));
  });
});
