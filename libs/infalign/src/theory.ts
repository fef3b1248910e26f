import { frontierPoint, type FrontierPoint } from './frontier.js';
import { InputError } from './input-error.js';
import { parseTransformation } from './parse-transformation.js';
import { parseProcedure } from './procedure.js';

/**
 * The exact yardstick for one question in text, as the command line asks it.
 *
 * @param query procedure and transform as parseProcedure and parseTransformation read them, or transform 'optimal' (see
 *   optimalPolicy); and either a raw beta > 0 or a kl > 0
 * @throws InputError for unknown names, for both or neither of beta and kl, and for a kl that is out of reach
 */
export function theory(query: { procedure: string; transform: string; beta?: number; kl?: number }): FrontierPoint {
  const procedure = parseProcedure(query.procedure);
  const { beta, kl } = query;
  if (beta !== undefined && kl !== undefined) throw new InputError('give either beta or kl: each determines the other');
  const transformation = query.transform.trim() === 'optimal' ? 'optimal' : parseTransformation(query.transform);
  if (beta !== undefined) return frontierPoint(procedure, transformation, { beta });
  if (kl !== undefined) return frontierPoint(procedure, transformation, { kl });
  throw new InputError('give a beta or a kl: the strength that the policy is aligned with');
}
