// A container of an image, without an engine: Linux's own namespaces, where this machine lets us make them.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { argumentsOf, environmentOf } from './dockerfile.mjs';

/** Whether containers can be made here. */
export function containersAvailable() {
  return spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
}

/**
 * Puts together what the last stage of an image's Dockerfile copies.
 *
 * @param {import('./dockerfile.mjs').Stage} stage
 * @param {string} assembled what stands for /image in the stage before
 * @param {string} folder that stands for / in the image
 */
export function carryOutCopies(stage, assembled, folder) {
  for (const text of argumentsOf(stage, 'COPY')) {
    const [, source, target] = /^--link --from=assembled \/image\/(\S+) (\/\S+)$/.exec(text);
    mkdirSync(join(folder, target), { recursive: true });
    cpSync(join(assembled, source), join(folder, target), { recursive: true, verbatimSymlinks: true, force: false });
  }
}

/** A root folder with the system of this machine under the image's own files: all of it read-only, but for /tmp. */
const startScript = `
set -e
root=$1 image=$2 user=$3 folder=$4; shift 4
mount -t tmpfs tmpfs "$root"
for name in bin lib lib64 sbin; do cp -P "/$name" "$root/$name"; done
mkdir -p "$root/usr" "$root/opt" "$root/proc" "$root/dev" "$root/etc/infalign" "$root/tmp" "$root/var/lib/infalign"
cp /etc/passwd /etc/group /etc/hosts /etc/nsswitch.conf /etc/ld.so.cache "$root/etc"
for name in usr proc dev; do mount --rbind "/$name" "$root/$name"; done
mount --bind "$image/opt" "$root/opt"
while [ "$1" != -- ]; do
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  mount -o "remount,bind,$3" "$root$2"
  shift 3
done
shift
for name in usr opt; do mount -o remount,bind,ro "$root/$name"; done
mount -o remount,ro "$root"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
exec chroot --userspec="$user" "$root" /usr/bin/env -i --chdir="$folder" "$@"
`;

/**
 * Starts a program in a container of its own.
 *
 * @param {{ runtime: import('./dockerfile.mjs').Stage, image: string, root: string, volumes: Record<string, string> }} container
 *   `runtime`: the stage with its user, environment and folder; `image`: the folder that stands for /; `root`: an empty folder;
 *   `volumes`: folders of this machine by where they are mounted, with `:ro` or `:rw`
 * @param {readonly string[]} command
 */
export function startInContainer({ runtime, image, root, volumes }, command) {
  const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', ...environmentOf(runtime) };
  const mounts = Object.entries(volumes).flatMap(([target, source]) => {
    const [, place, mode] = /^(.*):(ro|rw)$/.exec(target);
    return [source, place, mode];
  });
  const pairs = Object.entries(environment).map((pair) => pair.join('='));
  const [user] = argumentsOf(runtime, 'USER');
  const [folder] = argumentsOf(runtime, 'WORKDIR');
  return spawn(
    'unshare',
    ['--mount', 'sh', '-c', startScript, 'container', root, image, user, folder, ...mounts, '--', ...pairs, ...command],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
}

/** Runs a program in a container of its own to its end. */
export async function runInContainer(container, command) {
  const child = startInContainer(container, command);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, output };
}
