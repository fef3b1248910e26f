import { PpoLearnerServiceService } from '@infalign/contracts';
import { implement } from '@infalign/rpc';
import { learningService } from '@infalign/stage-learning';
import { learningControl } from './learning-control.js';
import { serveLearning } from './serve-learning.js';
import type { Service } from './service.js';

/** Trains policies. */
export const ppoLearner: Service = {
  name: 'ppoLearner',
  title: 'ppo-learner',
  computes: true,
  assemble(parts, ending) {
    return {
      calls: implement(PpoLearnerServiceService, learningService(learningControl(parts, ending))),
      serve: (signal) => serveLearning(parts, signal),
    };
  },
};
