import { PolicySamplerServiceService } from '@infalign/contracts';
import { assembleSampling } from '@infalign/pipeline';
import { implement } from '@infalign/rpc';
import { samplingService } from '@infalign/stage-sampling';
import { serveStages } from './serve-stages.js';
import type { Service } from './service.js';

/** Samples responses from policies. */
export const policySampler: Service = {
  name: 'policySampler',
  title: 'policy-sampler',
  computes: true,
  assemble(parts) {
    const { runs, models } = parts;
    return {
      calls: implement(
        PolicySamplerServiceService,
        samplingService({
          policy: async (runId, version) => (await models.models([await runs.policy(runId, version)]))[0]!,
          versions: (runId) => runs.versions(runId),
        }),
      ),
      serve: (signal) => serveStages([assembleSampling(parts)], parts, signal),
    };
  },
};
