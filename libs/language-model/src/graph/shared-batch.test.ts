import { describe, expect, it } from 'vitest';
import { batchShape, betterWhole } from './shared-batch.js';

describe('sequences laid out for a graph', () => {
  const prompt = (first: number): number[] => [first, 2, 3, 4, 5, 6, 7, 8];
  const responseTokens = [9, 9, 9, 9];
  const shapeOf = (prompts: readonly (readonly number[])[]): ReturnType<typeof batchShape> & { whole: boolean } => {
    const sequences = prompts.map((promptTokens) => ({ promptTokens, responseTokens }));
    const whole = betterWhole(sequences);
    return { whole, ...batchShape(sequences, { withLast: true, whole }) };
  };

  it('have a prompt once for all its responses', () => {
    const shape = shapeOf([1, 1, 1, 2, 2, 2].map(prompt));
    expect(shape).toMatchObject({ whole: false, groups: 2, samples: 3, promptTime: 8, responseTime: 4 });
    expect(shape.tokens).toBe(2 * 8 + 6 * 4);
  });

  it('stand whole where no prompt has several: there are no places for responses of their own', () => {
    const shape = shapeOf([1, 2, 3, 4, 5, 6].map(prompt));
    expect(shape).toMatchObject({ whole: true, groups: 6, samples: 0, promptTime: 12, responseTime: 0 });
    expect(shape.tokens).toBe(6 * 12);
  });

  it('stand whole where a grid with room for two responses to each prompt costs more than one prompt twice', () => {
    expect(shapeOf([1, 1, ...Array.from({ length: 30 }, (_, index) => index + 2)].map(prompt)).whole).toBe(true);
  });

  it('are judged however many there are: more than a function takes as arguments', () => {
    const sequence = { promptTokens: [1], responseTokens };
    expect(betterWhole(Array.from({ length: 200_000 }, () => sequence))).toBe(false);
  });
});
