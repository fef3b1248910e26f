import { describe, expect, it } from 'vitest';
import { parseExperiment } from './experiment.js';
import { formatExperiment } from './format-experiment.js';

describe('formatExperiment', () => {
  it('writes what is read back as the same experiment', () => {
    const experiment = parseExperiment(
      'name: x\ndataset: {kind: hh-rlhf, path: /data}\nruns: {target_kls: [0.5, 1]}\nprompts: {train: 40}\n',
      'x.yaml',
    );
    const text = formatExperiment(experiment);
    expect(text).toContain('max_response_tokens: 20');
    expect(parseExperiment(text, 'y.yaml')).toEqual(experiment);
  });
});
