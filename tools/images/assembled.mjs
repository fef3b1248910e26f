import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { root } from '../workspace/workspace.mjs';

/**
 * Copies what programs of the workspace need to run, and nothing else, into two folders that are laid over each other: `program`,
 * which is small and changes with every release, and `tensorflow`, the native library, which is large, hardly ever changes and
 * is the same for all services. npm says which packages are needed. Files get the same times whenever this is done, so that
 * what has not changed is the same layer of an image.
 *
 * @param {string} folder made by this, with both in it
 * @param {readonly string[]} programs of `apps`, which must be built
 * @returns {{ packages: number, bytes: { program: number, tensorflow: number } }}
 */
export function assemble(folder, programs) {
  if (existsSync(folder)) throw new Error(`${folder} is there already.`);
  for (const name of programs) {
    if (!existsSync(join(root, 'apps', name, 'dist', 'main.js'))) {
      throw new Error(`${name} is not built, or no program; npm run setup builds all.`);
    }
  }
  const parts = { program: join(folder, 'program'), tensorflow: join(folder, 'tensorflow') };
  const bytes = { program: 0, tensorflow: 0 };
  for (const part of Object.values(parts)) mkdirSync(part, { recursive: true });
  const paths = neededPackages(programs);
  for (const path of paths) {
    const source = join(root, path);
    if (!existsSync(source)) throw new Error(`${path} is not installed.`);
    const own = lstatSync(source).isSymbolicLink();
    const place = own ? relative(root, realpathSync(source)) : path;
    if (own) copyEntry(source, join(parts.program, path));
    for (const file of filesOf(join(root, place), own)) {
      const part = isNativeLibrary(join(path, file)) ? 'tensorflow' : 'program';
      bytes[part] += copyEntry(join(root, place, file), join(parts[part], place, file));
    }
  }
  Object.values(parts).forEach(settleTimes);
  return { packages: paths.length, bytes };
}

/** Where the packages that these programs run with are, as npm has installed them, from the root. */
function neededPackages(programs) {
  const list = execFileSync(
    'npm',
    ['ls', '--all', '--parseable', '--omit=dev', ...programs.map((name) => `--workspace=${name}`)],
    { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 26, stdio: ['ignore', 'pipe', 2] },
  );
  const paths = list.split('\n').map((path) => relative(root, path.trim()));
  return [...new Set(paths)].filter((path) => path.includes('node_modules/')).sort();
}

/** What a package has in it, from its folder: all files of one from elsewhere, but only what is built of one of ours. */
function filesOf(folder, own) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .filter((file) => !file.split('/').includes('node_modules') && isRead(file))
    .filter((file) => !own || /^(package\.json$|bin\/|dist\/)/.test(file));
}

/** Whether a file is read where programs run: types and maps are not. */
function isRead(file) {
  return !/\.(map|d\.[cm]?ts|tsbuildinfo)$/.test(basename(file));
}

/** TensorFlow's own library, and CUDA's, apart from the addon that loads it. */
function isNativeLibrary(path) {
  return /^node_modules\/@tensorflow\/tfjs-node\/deps\//.test(path);
}

/** @returns the size of what was copied */
function copyEntry(source, target) {
  mkdirSync(dirname(target), { recursive: true });
  const status = lstatSync(source);
  if (status.isSymbolicLink()) {
    symlinkSync(readlinkSync(source), target);
    return 0;
  }
  copyFileSync(source, target);
  return status.size;
}

function settleTimes(folder) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    lutimesSync(join(entry.parentPath, entry.name), 0, 0);
  }
  lutimesSync(folder, 0, 0);
}
