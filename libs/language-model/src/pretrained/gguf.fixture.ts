import { initialWeights, type LanguageModelConfig, type Weights } from '../definition.js';

/** Metadata types by name, with their numbers in the file and how a value is written. */
const types = {
  uint8: { number: 0, write: (value: number) => Buffer.from([value]) },
  int8: { number: 1, write: (value: number) => Buffer.from([value & 0xff]) },
  uint16: { number: 2, write: (value: number) => bytes(2, (view) => view.setUint16(0, value, true)) },
  int16: { number: 3, write: (value: number) => bytes(2, (view) => view.setInt16(0, value, true)) },
  uint32: { number: 4, write: (value: number) => bytes(4, (view) => view.setUint32(0, value, true)) },
  int32: { number: 5, write: (value: number) => bytes(4, (view) => view.setInt32(0, value, true)) },
  float32: { number: 6, write: (value: number) => bytes(4, (view) => view.setFloat32(0, value, true)) },
  bool: { number: 7, write: (value: boolean) => Buffer.from([value ? 1 : 0]) },
  text: { number: 8, write: (value: string) => Buffer.concat([size(Buffer.byteLength(value)), Buffer.from(value)]) },
  uint64: { number: 10, write: (value: number) => size(value) },
  int64: { number: 11, write: (value: number) => bytes(8, (view) => view.setBigInt64(0, BigInt(value), true)) },
  float64: { number: 12, write: (value: number) => bytes(8, (view) => view.setFloat64(0, value, true)) },
} as const;

type Entry = {
  [Type in keyof typeof types]:
    | readonly [type: Type, value: Parameters<(typeof types)[Type]['write']>[0]]
    | readonly [type: Type, values: readonly Parameters<(typeof types)[Type]['write']>[0][]];
}[keyof typeof types];

/** What a GGUF file is written from. */
export interface GgufContent {
  readonly metadata: Readonly<Record<string, Entry>>;
  /** Shapes row-major, types by their numbers in the file. */
  readonly tensors: Readonly<
    Record<string, { readonly type: number; readonly shape: readonly number[]; readonly data: Buffer }>
  >;
  readonly version?: number;
  readonly alignment?: number;
}

/** Lays out a GGUF file, as the format's description says. */
export function writeGguf({ metadata, tensors, version = 3, alignment = 32 }: GgufContent): Buffer {
  const aligned = (length: number): number => Math.ceil(length / alignment) * alignment;
  const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc(aligned(data.length) - data.length)]);
  const list = Object.entries(tensors);
  let offset = 0;
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    types.uint32.write(version),
    size(list.length),
    size(Object.keys(metadata).length),
    ...Object.entries(metadata).flatMap(([key, [type, value]]) => {
      const { number, write } = types[type] as { number: number; write: (value: unknown) => Buffer };
      const content = Array.isArray(value)
        ? [types.uint32.write(9), types.uint32.write(number), size(value.length), ...value.map(write)]
        : [types.uint32.write(number), write(value)];
      return [types.text.write(key), ...content];
    }),
    ...list.flatMap(([name, { type, shape, data }]) => {
      const start = offset;
      offset += aligned(data.length);
      return [
        types.text.write(name),
        types.uint32.write(shape.length),
        ...shape.toReversed().map(size),
        types.uint32.write(type),
        size(start),
      ];
    }),
  ]);
  return Buffer.concat([padded(header), ...list.map(([, { data }]) => padded(data))]);
}

/** The bytes of 32-bit floats. */
export function float32Bytes(data: Float32Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

export const tinyConfig: LanguageModelConfig = {
  vocabSize: 8,
  hiddenSize: 12,
  intermediateSize: 6,
  layers: 2,
  heads: 3,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 500,
  rmsNormEpsilon: 2 ** -17,
  tieWordEmbeddings: true,
  eosTokenId: 1,
};

export const tinyWeights: Weights = initialWeights(tinyConfig, ['language-model'], 1);

/** A tiny model as llama.cpp's converter writes it. */
export function tinyGguf(weights = tinyWeights): GgufContent {
  const names: Readonly<Record<string, string>> = {
    'model.embed_tokens': 'token_embd',
    'model.norm': 'output_norm',
    lm_head: 'output',
    input_layernorm: 'attn_norm',
    'self_attn.q_proj': 'attn_q',
    'self_attn.k_proj': 'attn_k',
    'self_attn.v_proj': 'attn_v',
    'self_attn.o_proj': 'attn_output',
    post_attention_layernorm: 'ffn_norm',
    'mlp.gate_proj': 'ffn_gate',
    'mlp.up_proj': 'ffn_up',
    'mlp.down_proj': 'ffn_down',
  };
  return {
    metadata: {
      'general.architecture': ['text', 'llama'],
      'llama.block_count': ['uint32', tinyConfig.layers],
      'llama.context_length': ['uint32', tinyConfig.maxPositions],
      'llama.embedding_length': ['uint32', tinyConfig.hiddenSize],
      'llama.feed_forward_length': ['uint32', tinyConfig.intermediateSize],
      'llama.attention.head_count': ['uint32', tinyConfig.heads],
      'llama.attention.head_count_kv': ['uint32', tinyConfig.keyValueHeads],
      'llama.rope.freq_base': ['float32', tinyConfig.ropeTheta],
      'llama.rope.dimension_count': ['uint32', 4],
      'llama.attention.layer_norm_rms_epsilon': ['float32', tinyConfig.rmsNormEpsilon],
      'tokenizer.ggml.model': ['text', 'gpt2'],
      'tokenizer.ggml.pre': ['text', 'smollm'],
      'tokenizer.ggml.tokens': ['text', ['<|endoftext|>', '<|im_end|>', 'a', 'b', '1', '<b>', 'ab', '11']],
      'tokenizer.ggml.token_type': ['int32', [3, 3, 1, 1, 1, 4, 1, 1]],
      'tokenizer.ggml.merges': ['text', ['a b', '1 1']],
      'tokenizer.ggml.bos_token_id': ['uint32', 0],
      'tokenizer.ggml.eos_token_id': ['uint32', 1],
      'tokenizer.ggml.unknown_token_id': ['uint32', 0],
      'tokenizer.ggml.padding_token_id': ['uint32', 1],
      'tokenizer.ggml.add_bos_token': ['bool', false],
      'tokenizer.chat_template': ['text', '{{ messages }}'],
    },
    tensors: Object.fromEntries(
      [...weights].map(([name, { shape, data }]) => {
        const [, layer, part] = /^(?:model\.layers\.(\d)\.)?(.*)\.weight$/.exec(name)!;
        const heads =
          /q_proj|k_proj/.test(name) && (name.includes('q_proj') ? tinyConfig.heads : tinyConfig.keyValueHeads);
        return [
          `${layer ? `blk.${layer}.` : ''}${names[part!]}.weight`,
          { type: 0, shape, data: float32Bytes(heads ? pairRows(data, shape, heads) : data) },
        ];
      }),
    ),
  };
}

/** Row (head, half, i) of [heads, 2, e/2] becomes row (head, i, half): what llama.cpp's converter does. */
function pairRows(data: Float32Array, [rows = 0, width = 0]: readonly number[], heads: number): Float32Array {
  const paired: number[] = [];
  const half = rows / heads / 2;
  for (let head = 0; head < heads; head++) {
    for (let index = 0; index < half; index++) {
      for (const row of [2 * head * half + index, 2 * head * half + half + index]) {
        paired.push(...data.subarray(row * width, (row + 1) * width));
      }
    }
  }
  return Float32Array.from(paired);
}

function bytes(length: number, write: (view: DataView) => void): Buffer {
  const view = new DataView(new ArrayBuffer(length));
  write(view);
  return Buffer.from(view.buffer);
}

function size(value: number): Buffer {
  return bytes(8, (view) => view.setBigUint64(0, BigInt(value), true));
}
