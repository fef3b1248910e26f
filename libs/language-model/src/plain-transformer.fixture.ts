import { headSize, type LanguageModelConfig, type Weights } from './definition.js';

/**
 * The same transformer in plain loops over 64-bit floats, one sequence at a time, straight from its definition: what the
 * executors are compared with.
 *
 * @returns the normalised state at every position, shape [tokens][hiddenSize]
 */
export function plainStates(config: LanguageModelConfig, weights: Weights, tokens: readonly number[]): number[][] {
  const weight = (name: string): Float32Array => weights.get(name)!.data;
  const width = headSize(config);
  const multiplied = (x: readonly number[], name: string): number[] => {
    const w = weight(name);
    return Array.from({ length: w.length / x.length }, (_, row) =>
      x.reduce((sum, value, column) => sum + value * w[row * x.length + column]!, 0),
    );
  };
  const linear = (x: readonly number[], name: string): number[] => {
    const output = multiplied(x, name);
    const [down, up] = ['lora_A.weight', 'lora_B.weight'].map((part) => name.replace(/weight$/, part)) as [
      string,
      string,
    ];
    if (!weights.has(down)) return output;
    const { alpha, rank } = config.adapters!;
    const added = multiplied(multiplied(x, down), up);
    return output.map((value, row) => value + (alpha / rank) * added[row]!);
  };
  const norm = (x: readonly number[], name: string): number[] => {
    const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / x.length + config.rmsNormEpsilon);
    return x.map((value, index) => value * scale * weight(name)[index]!);
  };
  const rotated = (head: readonly number[], position: number): number[] =>
    head.map((value, index) => {
      const half = width / 2;
      const angle = position / config.ropeTheta ** ((2 * (index % half)) / width);
      const other = index < half ? -head[index + half]! : head[index - half]!;
      return value * Math.cos(angle) + other * Math.sin(angle);
    });
  const heads = (x: readonly number[]): number[][] =>
    Array.from({ length: x.length / width }, (_, head) => x.slice(head * width, (head + 1) * width));

  const embedding = weight('model.embed_tokens.weight');
  let states = tokens.map((token) =>
    Array.from(embedding.subarray(token * config.hiddenSize, (token + 1) * config.hiddenSize)),
  );
  for (let layer = 0; layer < config.layers; layer++) {
    const prefix = `model.layers.${layer}.`;
    const inputs = states.map((x) => norm(x, `${prefix}input_layernorm.weight`));
    const queries = inputs.map((x, t) =>
      heads(linear(x, `${prefix}self_attn.q_proj.weight`)).map((h) => rotated(h, t)),
    );
    const keys = inputs.map((x, t) => heads(linear(x, `${prefix}self_attn.k_proj.weight`)).map((h) => rotated(h, t)));
    const values = inputs.map((x) => heads(linear(x, `${prefix}self_attn.v_proj.weight`)));
    states = states.map((x, t) => {
      const attended = queries[t]!.flatMap((query, head) => {
        const shared = Math.floor((head * config.keyValueHeads) / config.heads);
        const scores = keys
          .slice(0, t + 1)
          .map((key) => query.reduce((sum, q, i) => sum + q * key[shared]![i]!, 0) / Math.sqrt(width));
        const largest = Math.max(...scores);
        const exps = scores.map((score) => Math.exp(score - largest));
        const total = exps.reduce((a, b) => a + b, 0);
        return Array.from({ length: width }, (_, i) =>
          exps.reduce((sum, e, s) => sum + (e / total) * values[s]![shared]![i]!, 0),
        );
      });
      const projected = linear(attended, `${prefix}self_attn.o_proj.weight`);
      const middle = x.map((value, i) => value + projected[i]!);
      const normalised = norm(middle, `${prefix}post_attention_layernorm.weight`);
      const up = linear(normalised, `${prefix}mlp.up_proj.weight`);
      const activated = linear(normalised, `${prefix}mlp.gate_proj.weight`).map(
        (gate, i) => (gate / (1 + Math.exp(-gate))) * up[i]!,
      );
      const down = linear(activated, `${prefix}mlp.down_proj.weight`);
      return middle.map((value, i) => value + down[i]!);
    });
  }
  return states.map((x) => norm(x, 'model.norm.weight'));
}

/** log softmax of the logits in a state. */
export function plainLogProbs(
  config: LanguageModelConfig,
  weights: Weights,
  state: readonly number[],
  temperature: number,
): number[] {
  const projection = weights.get(config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight')!.data;
  const product = (x: readonly number[], matrix: Float32Array, row: number): number =>
    x.reduce((sum, v, i) => sum + v * matrix[row * x.length + i]!, 0);
  const [down, up] = ['A', 'B'].map((part) => weights.get(`lm_head.lora_${part}.weight`)?.data);
  const { alpha, rank } = config.adapters ?? { alpha: 0, rank: 1 };
  const reduced = down ? Array.from({ length: rank }, (_, row) => (alpha / rank) * product(state, down, row)) : [];
  const logits = Array.from(
    { length: config.vocabSize },
    (_, token) => (product(state, projection, token) + (up ? product(reduced, up, token) : 0)) / temperature,
  );
  const largest = Math.max(...logits);
  const normaliser = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
  return logits.map((logit) => logit - normaliser);
}
