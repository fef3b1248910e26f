import { adapterScale, type ModelData, type Weight } from '../definition.js';

/**
 * A model whose adapters are part of its linear layers: `W + (α/r)·B·A`. It computes the same with fewer operations, and is what samplers
 * and other programs want.
 *
 * @param model with all of its weights, those that are not trained too; one without adapters is given back as it is
 */
export function merged<Model extends ModelData>(model: Model): Model {
  const { adapters, ...config } = model.config;
  if (!adapters) return model;
  const scale = adapterScale(model.config);
  // An embedding that is the output projection too stays what it is: the two are one no more.
  const isUntied = config.tieWordEmbeddings && model.weights.has('lm_head.lora_A.weight');
  const all = new Map(model.weights);
  if (isUntied) all.set('lm_head.weight', model.weights.get('model.embed_tokens.weight')!);
  const weights = new Map<string, Weight>();
  for (const [name, weight] of all) {
    if (/\.lora_[AB]\.weight$/.test(name)) continue;
    const module = name.replace(/\.weight$/, '');
    const down = model.weights.get(`${module}.lora_A.weight`);
    const up = model.weights.get(`${module}.lora_B.weight`);
    weights.set(name, down && up ? { ...weight, data: addedProduct(weight.data, up, down, scale) } : weight);
  }
  return { ...model, config: isUntied ? { ...config, tieWordEmbeddings: false } : config, weights };
}

/** `sum + scale·B·A`. @param up B, shape [output, rank] @param down A, shape [rank, input] */
function addedProduct(sum: Float32Array, up: Weight, down: Weight, scale: number): Float32Array {
  const [outputs, rank] = up.shape as [number, number];
  const inputs = down.shape[1]!;
  const result = new Float32Array(sum.length);
  const row = new Float64Array(inputs);
  for (let output = 0; output < outputs; output++) {
    row.set(sum.subarray(output * inputs, (output + 1) * inputs));
    for (let r = 0; r < rank; r++) {
      const factor = scale * up.data[output * rank + r]!;
      for (let input = 0; input < inputs; input++) row[input]! += factor * down.data[r * inputs + input]!;
    }
    result.set(row, output * inputs);
  }
  return result;
}
