/** What is told of each benchmark, beside its results. By the names of the baselines. */
const sections = {
  model: {
    title: 'Training and sampling beside PyTorch',
    text: `The same weights, the same batch, as many threads; turn by turn in one run, the median of five rounds. First both sides have to
agree: in every log-probability, and in the loss and the gradient norm of a step, to 1e-4.

The peer is a model written for PyTorch with fused projections, \`scaled_dot_product_attention\`, a cache allocated once, and fused Adam; as it
is, and through \`torch.compile\`. It draws tokens by \`torch.multinomial\`, as \`generate\` does, and in a way of its own (“own draw”) that is
several times as fast. \`--help\` has the shapes.

Our side computes two halves of the batch at the same time, a thread each ([decision 11](decisions/0011-threads-compute-parts-of-a-batch.md)). Where the
rest goes is below, under “Where the time goes”.`,
  },
  'model-avx2': {
    command: 'bench:model -- --cases small,medium',
    title: 'Training and sampling beside PyTorch without AVX-512',
    text: `The same on a processor with AVX2, where TensorFlow computes with oneDNN because it is asked to
([decision 25](decisions/0025-onednn-on-every-processor.md)).`,
  },
  'model-gpu': {
    command: 'bench:model -- --device gpu --cases small,medium',
    title: 'Training and sampling beside PyTorch on a GPU',
    text: `The same on a GPU, both sides in 32 bits throughout, ours with operations that give the same bytes every time. These models are so small for it that
starting operations takes most of the time. [gpu.md](gpu.md#how-fast) has what was seen of a larger one.`,
  },
  decode: {
    title: 'Decoding SmolLM2-135M',
    text: `Prompts of 32 tokens, 64 new ones each, beside \`generate\` of transformers on the same dequantised weights, and beside llama.cpp with weights of
16 and of 4 bits: it reads a half and an eighth of the bytes, which decides where few sequences are decoded.`,
  },
  ppo: {
    title: 'A whole iteration of PPO beside TRL',
    text: `Sampling, rewards, reference log-probabilities, calibration (which TRL does not have) and four epochs of updates; the same model, batch and
lengths.`,
  },
  scale: {
    title: 'How time and memory grow, and what a shared prompt saves',
    text: `The exponent of each growth: 1 is as much more as there is more to do.`,
  },
  profile: {
    title: 'Where the time goes',
    text: `On one thread, from what oneDNN tells of every kernel. Products with weights are compared with a product of large matrices, attention with
the speed at which memory is read and written. The overhead is TensorFlow's other operations (norms, activations, rotations,
copies, writes into caches), its executor, and JavaScript.`,
  },
  stream: {
    title: "The rollout stream beside Kafka's own tools",
    text: `The same broker, the same settings, turn by turn. Transactional stages read, compute and write exactly once; latency is from append to
the end of three stages.`,
  },
  samplers: {
    title: 'Two samplers beside one',
    text: `Processes of one thread each, on one broker; the ratio is the median of those within a round.`,
  },
};

/** The names of all baselines. */
export const baselineNames = Object.keys(sections);

/** The commands that make the baselines, as one gives them to `npm run`, by their names. */
export const commands = Object.fromEntries(
  Object.entries(sections).map(([name, { command }]) => [name, command ?? `bench:${name}`]),
);

/**
 * The page of the benchmarks.
 *
 * @param {Record<string, { machine: object, rows: object[] }>} baselines by their names
 * @returns {string} Markdown
 */
export function benchmarksPage(baselines) {
  const introduction = `# Benchmarks

What the benchmarks gave that are in [\`tools/bench\`](../tools/bench); a test keeps this page and the committed results the same. A ratio above 1 says
that infalign is ahead. Values are those of the machine that is named; ratios carry over better.
`;
  const parts = baselineNames.map((name) => {
    const { title, text } = sections[name];
    const { machine, rows } = baselines[name];
    const { processor, cores, gpu, threads, versions, most } = machine;
    const computed = [
      `${processor}, ${cores} cores`,
      gpu,
      threads && `${threads} ${threads === 1 ? 'thread' : 'threads'}`,
      ...Object.entries(versions ?? {}).map(([what, version]) => `${what} ${version}`),
      most && `at most ${most.gigaflops} GFLOP/s and ${most.gigabytes} GB/s`,
    ];
    return `## ${title}

\`\`\`sh
npm run -s ${commands[name]}
\`\`\`

${text}

${computed.filter(Boolean).join('; ')}.

${table(rows)}
`;
  });
  return [introduction, ...parts].join('\n');
}

function table(rows) {
  const cells = rows.map((row) => [
    row.case,
    row.ours,
    row.unit,
    row.peer ?? '',
    row.peer_value ?? '',
    row.ratio ?? '',
  ]);
  const lines = [['case', 'ours', 'unit', 'beside', 'that', 'ratio'], Array(6).fill('---'), ...cells];
  return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
}
