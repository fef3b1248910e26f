import {
  add,
  concatenate,
  matMul,
  projected,
  split,
  type Dimension,
  type GraphTensor,
  type Projection,
} from '@infalign/tensor-graph';
import { chunksOf } from './lanes.js';
import { eachByItself, type Multiplied } from './transformer.js';

/**
 * Products `x·V` of lanes that share threads: of all their rows, as sums over parts of the inputs, which can be computed at the same
 * time. Rows of V are cut without copying them.
 *
 * @param sharing how many lanes do so together; also the parts
 */
export function sharedProducts(sharing: number): Multiplied {
  if (sharing === 1) return eachByItself;
  return (features, weight) => {
    const sizes = partSizes(weight.shape[0] as number, sharing);
    const rows = split(weight, sizes, 0);
    return chunksOf(features, sharing).flatMap((lanes) => {
      const columns = lanes.map((x) => split(x, sizes, 1));
      const parts = rows.map((part, index) => matMul(oneAfterAnother(columns.map((cut) => cut[index]!)), part));
      return byLane(parts, lanes).map((ofLane) => ofLane.reduce(add));
    });
  };
}

/** What `projected` gives of every lane, computed in parts of the vocabulary by lanes that share threads. */
export function sharedLogits(lanes: readonly (readonly Projection[])[], sharing: number): readonly GraphTensor[] {
  if (sharing === 1) return lanes.map(projected);
  return chunksOf(lanes, sharing).flatMap((together) => {
    const summands = together[0]!.map(({ weight }, index) => {
      const x = oneAfterAnother(together.map((projections) => projections[index]!.x));
      return split(weight, partSizes(weight.shape[0] as number, sharing), 0).map((part) => ({ x, weight: part }));
    });
    const parts = summands[0]!.map((_, part) => projected(summands.map((ofPart) => ofPart[part]!)));
    const rows = together.map(([own]) => own!.x);
    return byLane(parts, rows).map((ofLane) => concatenate(ofLane, 1));
  });
}

/** Rows of lanes as one matrix. */
function oneAfterAnother(lanes: readonly GraphTensor[]): GraphTensor {
  if (lanes.length === 1) return lanes[0]!;
  return concatenate(lanes, 0, lanes.map(({ shape }) => shape[0]!).join(' and '));
}

/** Cuts parts of a result, of the rows of lanes one after another, into parts by lane. @param lanes matrices of their rows */
function byLane(parts: readonly GraphTensor[], lanes: readonly GraphTensor[]): readonly (readonly GraphTensor[])[] {
  if (lanes.length === 1) return [parts];
  const sizes = lanes.map(({ shape }): Dimension => shape[0]!);
  const cut = parts.map((part) => split(part, sizes, 0));
  return lanes.map((_, lane) => cut.map((ofPart) => ofPart[lane]!));
}

/** Cuts a size into parts of about the same size: as many as there are to be, but no empty ones. */
function partSizes(size: number, parts: number): number[] {
  const count = Math.min(size, parts);
  const upTo = (part: number): number => Math.ceil((part * size) / count);
  return Array.from({ length: count }, (_, part) => upTo(part + 1) - upTo(part));
}
