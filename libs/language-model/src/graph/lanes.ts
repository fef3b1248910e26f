import { disposeAll, type Feed, type GraphFunction, type NativeTensor } from '@infalign/tensor-graph';

type Inputs = Readonly<Record<string, Feed>>;

/** A graph that a lane wants to have run. */
interface Wanted {
  readonly fn: GraphFunction<string>;
  readonly inputs: Inputs;
  /** All by default; the same for all lanes that want the graph. */
  readonly outputs: readonly string[] | undefined;
  /** Whether it waits while another lane wants what does not wait, to be run together with more lanes. */
  readonly waits: boolean;
}

/** One of several computations of the same kind, side by side: it gives up its turn wherever it needs a graph to be run. */
export type Lane<Result> = Generator<Wanted, Result, Record<string, NativeTensor>>;

/** How a graph is run within a lane. */
export interface RunOptions<Output> {
  /** What is wanted of it, all by default; the same for all lanes that want the graph. */
  readonly outputs?: readonly Output[];
  /** Whether to wait until all lanes want what waits, for what most runs are of; false by default. */
  readonly waits?: boolean;
}

/**
 * Has a graph run, within a lane.
 *
 * @param own inputs that are for this run alone: they are disposed of, also where a lane or a graph fails
 * @returns its outputs, of which the caller disposes
 */
export function* ran<Output extends string>(
  fn: GraphFunction<Output>,
  inputs: Inputs,
  own: Readonly<Record<string, NativeTensor>>,
  { outputs, waits = false }: RunOptions<Output> = {},
): Lane<Record<Output, NativeTensor>> {
  try {
    return yield { fn, inputs: { ...inputs, ...own }, outputs, waits };
  } finally {
    disposeAll(own);
  }
}

/**
 * Carries out lanes side by side. Where several want the same graph, it is run for them together, which keeps as many threads busy;
 * who wants what, and waits, follows from the lanes alone.
 *
 * @returns their results
 * @throws the first error of a lane or a graph; all lanes are ended then
 */
export function sideBySide<Result>(lanes: readonly Lane<Result>[]): Result[] {
  const results = new Array<Result>(lanes.length);
  const waiting = new Map<number, Wanted>();
  const advance = (lane: number, outputs: Record<string, NativeTensor>): void => {
    const { done, value } = lanes[lane]!.next(outputs);
    if (!done) waiting.set(lane, value);
    else results[lane] = value;
  };
  try {
    lanes.forEach((_, lane) => advance(lane, {}));
    while (waiting.size > 0) {
      const all = [...waiting];
      const urgent = all.filter(([, { waits }]) => !waits);
      const turn = urgent.length > 0 ? urgent : all;
      for (const [lane] of turn) waiting.delete(lane);
      for (const fn of new Set(turn.map(([, wanted]) => wanted.fn))) {
        const wanting = turn.filter(([, wanted]) => wanted.fn === fn);
        const outputs = fn.runTogether(
          wanting.map(([, { inputs }]) => inputs),
          wanting[0]![1].outputs,
        );
        try {
          for (const [lane] of wanting) advance(lane, outputs.shift()!);
        } finally {
          // Where a lane fails, those after it do not get theirs.
          outputs.forEach(disposeAll);
        }
      }
    }
    return results;
  } finally {
    for (const lane of lanes) lane.return(undefined as Result);
  }
}

/** Cuts a list into pieces of a size, of which the last can be smaller. */
export function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, chunk) =>
    items.slice(size * chunk, size * (chunk + 1)),
  );
}
