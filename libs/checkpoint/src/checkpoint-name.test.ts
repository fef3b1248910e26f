import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { checkpointName, checkFileName } from './checkpoint-name.js';

describe("a checkpoint's name", () => {
  it('may be of letters, digits, dots and dashes, in parts', () => {
    for (const name of [
      'v1',
      'runs/bon-4-beta-0.1-seed-3/version-12',
      'A/b_c/1.2.3',
      '_',
      'a..b',
      `a/${'b'.repeat(200)}`,
    ]) {
      expect(checkpointName(name)).toBe(name);
    }
  });

  it('never leads elsewhere, whatever a request brings, and the message shows it without control characters', () => {
    for (const name of [
      ...['', '.', '..', '../a', 'a/..', 'a/../b', 'a/./b', '/', '/etc/passwd', '//a', 'a//b', 'a/', '.hidden', 'a/.b'],
      ...[
        'a\\b',
        '..\\a',
        'C:\\a',
        'C:a',
        '\\\\host\\share',
        'a b',
        ' a',
        'a ',
        'ä',
        '％2e',
        '%2e%2e/a',
        '~/a',
        '$HOME',
        '-a',
      ],
      ...['a\0b', 'a\nb', 'a\u001b[31m', 'a\u202eb', 'a\n', '\ud800', 's3://a', 'file:a', 'a?b', 'a*', "a'b", 'a`b`'],
      ...['a/manifest.json', 'a.partial/v1', `a/${'0'.repeat(64)}`, 'a'.repeat(201), 'a/'.repeat(150) + 'a'],
    ]) {
      expect(() => checkpointName(name), JSON.stringify(name)).toThrow(InputError);
      expect(() => checkpointName(name)).not.toThrow(/[\p{Cc}\p{Cf}]/u);
    }
  });
});

describe('the name of a file in a checkpoint', () => {
  it('is one part, and that of no pickle, however it is spelt', () => {
    for (const name of ['model-00001-of-00002.safetensors', 'model.safetensors.index.json', 'training.uint16']) {
      checkFileName(name, 'v1');
    }
    for (const name of ['../a', 'a/b', 'a\\b', '', '.', '..', '.a', 'manifest.json', 'a.partial', '0'.repeat(64)]) {
      expect(() => checkFileName(name, 'v1'), name).toThrow(InputError);
    }
    for (const name of [
      'pytorch_model.bin',
      'Optimizer.PT',
      'a.pth',
      'a.pkl',
      'a.Pickle',
      'a.ckpt',
      'a.npy',
      'a.npz',
    ]) {
      expect(() => checkFileName(name, 'v1'), name).toThrow(`v1: holds ${name}. Files of that kind are pickles`);
    }
  });
});
