import { disposeAll, type Feed, type GraphFunction, type NativeTensor } from '@infalign/tensor-graph';

/** A graph that a lane wants to have run. */
interface Wanted {
  readonly fn: GraphFunction<string>;
  readonly inputs: Readonly<Record<string, Feed>>;
}

/** One of several computations of the same kind, side by side: it gives up its turn wherever it needs a graph to be run. */
export type Lane<Result> = Generator<Wanted, Result, Record<string, NativeTensor>>;

/**
 * Has a graph run, within a lane.
 *
 * @param own inputs that are for this run alone: they are disposed of, also where a lane or a graph fails
 * @returns its outputs, of which the caller disposes
 */
export function* ran<Output extends string>(
  fn: GraphFunction<Output>,
  inputs: Readonly<Record<string, Feed>>,
  own: Readonly<Record<string, NativeTensor>>,
): Lane<Record<Output, NativeTensor>> {
  try {
    return yield { fn, inputs: { ...inputs, ...own } };
  } finally {
    disposeAll(own);
  }
}

/**
 * Carries out lanes side by side. Where several want the same graph, it is run for them together, which keeps as many threads busy;
 * who wants what follows from the lanes alone.
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
      const turn = [...waiting];
      waiting.clear();
      for (const fn of new Set(turn.map(([, wanted]) => wanted.fn))) {
        const wanting = turn.filter(([, wanted]) => wanted.fn === fn);
        const outputs = fn.runTogether(wanting.map(([, { inputs }]) => inputs));
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

/** Cuts a list into turns: what as many lanes do at the same time. */
export function turnsOf<T>(items: readonly T[], lanes: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / lanes) }, (_, turn) =>
    items.slice(lanes * turn, lanes * (turn + 1)),
  );
}
