import { policyRuns, stepNames } from '@infalign/pipeline';
import type { Experiment } from '@infalign/run-config';
import type { Step } from './scheduler.js';

/** The steps of an experiment on one machine, in an order in which each follows what it depends on. */
export function planSteps(experiment: Experiment): Step[] {
  const step = (name: string, ...dependsOn: string[]): Step => ({ name, dependsOn });
  const { text, base, judgeBase, rewardModel, judge, trainingReferences, heldOutReferences } = stepNames;
  return [
    step(text),
    step(base, text),
    step(judgeBase, text),
    step(judge, base, judgeBase),
    step(rewardModel, base),
    step(heldOutReferences, rewardModel, judge),
    step(trainingReferences, rewardModel),
    ...policyRuns(experiment).map((run) => step(run.name, trainingReferences, heldOutReferences)),
  ];
}
