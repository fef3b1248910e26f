import { headSize, type LanguageModelConfig } from './definition.js';

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
