import { headSize, type LanguageModelConfig } from './definition.js';

/**
 * Positions as complex numbers `cos(p·θ^(−2i/e)) + i·sin(…)`, by which pairs of a head are multiplied: real and imaginary part one after
 * the other; first those of queries, times `e^(−½)`, then those of keys; [2·maxPositions, head size], row-major.
 */
export function rotaryNumbers(config: LanguageModelConfig): Float32Array {
  const width = headSize(config);
  const { cos, sin } = rotaryTables(config);
  const ofKeys = cos.map((_, index) => {
    const pair = Math.floor((index % width) / 2);
    const place = index - (index % width) + pair;
    return index % 2 === 0 ? cos[place]! : sin[place]!;
  });
  const both = new Float32Array(2 * ofKeys.length);
  both.set(ofKeys.map((value) => value * width ** -0.5));
  both.set(ofKeys, ofKeys.length);
  return both;
}

/** Tables of `cos(p·θ^(−2i/e))` and `sin(…)`, each half of a head the same; [maxPositions, head size], row-major. */
export function rotaryTables(config: LanguageModelConfig): { readonly cos: Float32Array; readonly sin: Float32Array } {
  const width = headSize(config);
  const half = width / 2;
  const cos = new Float32Array(config.maxPositions * width);
  const sin = new Float32Array(config.maxPositions * width);
  for (let position = 0; position < config.maxPositions; position++) {
    for (let column = 0; column < width; column++) {
      const angle = position * config.ropeTheta ** ((-2 * (column % half)) / width);
      cos[position * width + column] = Math.cos(angle);
      sin[position * width + column] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
