export { formatExperiment } from './format-experiment.js';
export { asCarriedOut, experimentHash, loadExperiment, parseExperiment, type Experiment } from './experiment.js';
export { formatServices, loadServices, parseServices, type ServiceName, type Services } from './services.js';
