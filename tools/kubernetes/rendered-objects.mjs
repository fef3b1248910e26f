import { posix } from 'node:path';

/** The services, as objects are named. */
export const titles = ['policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner', 'evaluator'];

/** A service's name in the chart's values. @param {string} title */
export const inValues = (title) => title.replace(/-(.)/g, (_, letter) => letter.toUpperCase());

/** The objects of a kind among those that the chart renders. */
export const ofKind = (objects, kind) => objects.filter((object) => object.kind === kind);

/** The object of a kind and a name. */
export const named = (objects, kind, name) => ofKind(objects, kind).find(({ metadata }) => metadata.name === name);

/** The specification of a deployment's or a job's pods. */
export const podOf = (object) => object.spec.template.spec;

/** What has pods. */
export const pods = (objects) => [...ofKind(objects, 'Deployment'), ...ofKind(objects, 'Job')];

/** Every path of a file in settings, and that of a folder of checkpoints. */
export function pathsIn(settings) {
  return Object.values(settings).flatMap((value) => {
    if (typeof value === 'string') return value.startsWith('/') ? [value] : [];
    return typeof value === 'object' && value !== null ? pathsIn(value) : [];
  });
}

/** The volume that a path of a container is in, and the path within it. */
export function mountedAt(pod, path) {
  const mount = pod.containers[0].volumeMounts
    .filter(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath}/`))
    .sort((a, b) => b.mountPath.length - a.mountPath.length)[0];
  if (!mount) return undefined;
  const volume = pod.volumes.find(({ name }) => name === mount.name);
  return { mount, volume, within: posix.relative(mount.mountPath, path) };
}
