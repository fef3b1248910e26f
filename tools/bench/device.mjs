/** What decides where a process computes, ours or a peer's. */
const environments = {
  cpu: { INFALIGN_DEVICE: 'cpu', CUDA_VISIBLE_DEVICES: '-1' },
  gpu: { INFALIGN_DEVICE: 'gpu' },
};

/** Where a benchmark can compute. */
export const devices = Object.keys(environments);

/**
 * The environment of a process that computes on a device.
 *
 * @param {string} device
 * @returns {Record<string, string>}
 */
export function deviceEnvironment(device) {
  return environments[device];
}
