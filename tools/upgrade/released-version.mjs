import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { release } from '../contracts/released.mjs';
import { root, step } from '../workspace/workspace.mjs';

const ownScope = '@infalign';

/**
 * The last release, built: its own code with its own contracts, out of the history of this repository.
 *
 * @returns {{ folder: string, version: string, contractsDiffer: boolean }} `contractsDiffer`: from those that are here
 */
export function provisionReleasedVersion() {
  const { version, commit } = release();
  const folder = join(root, '.cache', 'released', commit);
  const stamp = join(folder, '.built');
  if (!existsSync(stamp)) {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    step(`the code of release ${version}`, () => checkOut(commit, folder));
    if (packagesAreHere(folder)) linkPackages(folder);
    else step('its npm packages', () => run(folder, ['tools/workspace/setup.mjs']));
    step('compiling it', () => {
      const build = "import('./tools/workspace/install.mjs').then(({ buildWorkspace }) => buildWorkspace())";
      run(folder, ['--eval', build]);
    });
    writeFileSync(stamp, '');
  }
  const contracts = (place) =>
    readdirSync(place, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
      .sort()
      .join('');
  const inProtos = join('protos', 'infalign');
  return { folder, version, contractsDiffer: contracts(join(root, inProtos)) !== contracts(join(folder, inProtos)) };
}

function checkOut(commit, folder) {
  try {
    const archive = execFileSync('git', ['archive', '--format=tar', commit], {
      cwd: root,
      maxBuffer: 2 ** 30,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    execFileSync('tar', ['-x', '-C', folder], { input: archive });
  } catch (error) {
    throw new Error(
      `Commit ${commit}, which has the code of the last release, is not here: git fetch --unshallow brings the history. ` +
        `(${String(error.stderr ?? error.message).trim()})`,
    );
  }
}

function run(folder, args) {
  execFileSync(process.execPath, args, { cwd: folder, stdio: ['ignore', 2, 2] });
}

/** Whether every package that the release is locked to is installed here in that version. */
function packagesAreHere(folder) {
  const packagesOf = (place) => JSON.parse(readFileSync(join(place, 'package-lock.json'), 'utf8')).packages;
  const here = packagesOf(root);
  return Object.entries(packagesOf(folder)).every(
    ([name, { version, link }]) => !name.startsWith('node_modules/') || link || here[name]?.version === version,
  );
}

/** Gives the release the packages that are installed here, but its own libraries. */
function linkPackages(folder) {
  const own = readdirSync(join(root, 'node_modules', ownScope));
  linkAll(join(root, 'node_modules'), join(folder, 'node_modules'));
  mkdirSync(join(folder, 'node_modules', ownScope));
  for (const name of own) {
    // Relative, to the library in the same checkout.
    const target = readlinkSync(join(root, 'node_modules', ownScope, name));
    const place = join(folder, 'node_modules', ownScope, name);
    if (existsSync(join(dirname(place), target))) symlinkSync(target, place);
  }
  for (const group of ['libs', join('libs', 'stages'), 'apps']) {
    for (const name of readdirSync(join(folder, group))) {
      const packages = join(root, group, name, 'node_modules');
      if (existsSync(packages)) linkAll(packages, join(folder, group, name, 'node_modules'));
    }
  }
}

function linkAll(from, to) {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) if (name !== ownScope) symlinkSync(join(from, name), join(to, name));
}
