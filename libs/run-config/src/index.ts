export { experimentHash, loadExperiment, parseExperiment, type Experiment } from './experiment.js';
