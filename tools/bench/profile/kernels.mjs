/**
 * What oneDNN tells of the kernels that it ran, with ONEDNN_VERBOSE=1.
 *
 * @typedef {{ kind: 'weights' | 'attention' | 'other', milliseconds: number, operations: number, bytes: number }} Kernel
 */

/** The kind of products whose operands are single matrices: in a language model, products with weights. */
const productKinds = ['gemm_api', 'matmul'];

/**
 * Reads one line, `onednn_verbose,exec,cpu,PRIMITIVE,IMPLEMENTATION,…,PROBLEM,MILLISECONDS`; a product's problem is
 * `BATCHxMxK:BATCHxKxN`.
 *
 * @param {string} line
 * @returns {Kernel | undefined} nothing, if it tells of no kernel
 */
export function kernelOf(line) {
  const fields = line.trim().split(',');
  if (fields[0] !== 'onednn_verbose' || fields[1] !== 'exec') return undefined;
  const milliseconds = Number(fields.at(-1));
  if (!productKinds.includes(fields[3])) return { kind: 'other', milliseconds, operations: 0, bytes: 0 };
  const [left, right] = fields
    .at(-2)
    .split(':')
    .map((shape) => shape.split('x').map(Number));
  const size = (shape) => shape.reduce((all, axis) => all * axis, 1);
  const batch = size(left.slice(0, -2));
  const [m, k] = left.slice(-2);
  const n = right.at(-1);
  return {
    kind: batch === 1 ? 'weights' : 'attention',
    milliseconds,
    operations: 2 * batch * m * k * n,
    bytes: 4 * (size(left) + size(right) + batch * m * n),
  };
}
