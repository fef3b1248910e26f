export { scoringStage, type Scorer } from './pipeline.js';
