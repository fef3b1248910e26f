export { samplingStage } from './pipeline.js';
export { createPolicyStore, type LoadPolicy, type PolicyStore } from './policy-store.js';
