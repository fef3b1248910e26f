export type { CarryOut } from './carry-out.js';
export { carryOutHere } from './carry-out-here.js';
export { carryOutOnServices, type ServicesOptions } from './carry-out-on-services.js';
export { experimentFolder, type ExperimentFolder, type StepTimes } from './experiment-folder.js';
export { planSteps } from './plan.js';
export {
  openExperiment,
  runExperiment,
  writeReport,
  type FinishedExperiment,
  type RunExperimentOptions,
} from './run-experiment.js';
export { runStep } from './run-step.js';
export type { RunningStep, Step } from './scheduler.js';
export type { StepContext } from './step-context.js';
