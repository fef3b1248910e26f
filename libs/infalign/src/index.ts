export { InputError } from './input-error.js';
export { seededRandom, type RandomSource } from './random.js';
