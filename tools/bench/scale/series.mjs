/** What everything is varied from. */
const base = {
  width: 128,
  layers: 4,
  tokens: 64,
  sequences: 16,
  samples: 1,
};

/** What is varied, and through which values. `work` says what is measured. */
export const series = {
  width: { work: 'training', values: [64, 128, 256, 512] },
  layers: { work: 'training', values: [2, 4, 8, 16] },
  tokens: { work: 'training', values: [32, 64, 128, 256] },
  sequences: { work: 'training', values: [8, 16, 32, 64] },
  prompts: { work: 'sampling', values: [16, 32, 64, 128] },
  samples: { work: 'sampling', values: [8, 16, 32, 64], note: 'of each of 4 prompts' },
};

/**
 * The settings of one point.
 *
 * @param {string} name of the series
 * @param {number} value
 */
export function pointOf(name, value) {
  const { work } = series[name];
  const prompts = name === 'samples' ? 4 : 32;
  return { ...base, prompts, [name]: value, work };
}

/**
 * The exponent b of y ≈ a·xᵇ, fitted by least squares to the logarithms.
 *
 * @param {readonly number[]} x positive
 * @param {readonly number[]} y positive
 */
export function fittedExponent(x, y) {
  const [logX, logY] = [x.map(Math.log), y.map(Math.log)];
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanX, meanY] = [mean(logX), mean(logY)];
  const covariance = logX.reduce((sum, value, index) => sum + (value - meanX) * (logY[index] - meanY), 0);
  return covariance / logX.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
}
