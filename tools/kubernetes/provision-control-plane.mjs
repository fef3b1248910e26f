import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

const source = join(root, 'tools', 'kubernetes', 'control-plane');

/**
 * Builds the control plane of Kubernetes, and kubectl, as one program into `.cache/`, once: from its modules, as go.sum has them.
 *
 * @returns {string} the program
 * @throws {Error} saying why, if it cannot be built here
 */
export function provisionControlPlane() {
  const files = ['go.mod', 'go.sum', 'main.go'].map((name) => readFileSync(join(source, name)));
  const [kubernetes] = /(?<=k8s\.io\/kubernetes )v[\d.]+/.exec(files[0].toString());
  // Symbols are left out, and what it says of its version is set, as Kubernetes' own build does.
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(kubernetes);
  const told = { gitVersion: kubernetes, gitMajor: major, gitMinor: minor };
  const variables = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) =>
    Object.entries(told).map(([name, value]) => `-X=${path}.${name}=${value}`),
  );
  const linker = ['-s', '-w', ...variables].join(' ');
  const version = createHash('sha256').update(Buffer.concat(files)).update(linker).digest('hex').slice(0, 12);
  const program = join(root, '.cache', `kubernetes-control-plane-${version}`);
  if (existsSync(program)) return program;
  mkdirSync(join(root, '.cache'), { recursive: true });
  const partial = `${program}.${process.pid}`;
  step("building Kubernetes' control plane (once, 15 minutes on two processors)", () => {
    const { error, status, stderr } = spawnSync(
      'go',
      ['build', '-trimpath', `-ldflags=${linker}`, '-o', partial, '.'],
      {
        cwd: source,
        encoding: 'utf8',
        maxBuffer: 2 ** 26,
      },
    );
    if (error)
      throw new Error(
        "Kubernetes' control plane is built by Go, and go is not on the PATH: get it from https://go.dev/dl",
      );
    if (status !== 0) {
      throw new Error(`Kubernetes' control plane cannot be built: ${stderr.trim().split('\n').slice(-5).join('\n')}`);
    }
  });
  renameSync(partial, program);
  return program;
}
