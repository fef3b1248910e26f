export { formatExperiment } from './format-experiment.js';
export { experimentHash, loadExperiment, parseExperiment, type Experiment } from './experiment.js';
