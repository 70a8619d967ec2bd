/**
 * Puts packages that consist of hundreds of files into one file each, and lets the modules of the build import those.
 *
 *     node scripts/bundlePackages.mjs        (part of npm run build)
 *
 * Reading apache-arrow file by file takes 150 ms of CPU, in each thread of a run; as one file it takes 30 (2026-11).
 * Without this step the build works the same, slower. Nothing is minified: stack traces stay readable.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gatherLicenses, packagesOf, titleOf } from './licenses.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const DIST = join(ROOT, 'dist');
/** Of JavaScript alone: addons, and what looks for files of its own, stay where they are. */
const PACKAGES = ['apache-arrow', 'yaml', 'zod'];
const IMPORTERS = ['src', 'workers', 'bench'];
/** An `import()` stays: it gets what user code gets by the same name. */
const IMPORT = new RegExp(`\\bfrom '(${PACKAGES.join('|')})'`, 'g');

/** Where the bundles are. */
export const BUNDLES = PACKAGES.map((name) => join(DIST, 'packages', `${name}.js`));

/** Follows the compiler, which writes the imports anew. @throws Error with what the bundler says. */
export async function bundlePackages() {
  const { rolldown } = await import('rolldown');
  const folder = join(DIST, 'packages');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const contained = new Set();
  for (const name of PACKAGES) {
    const bundle = await rolldown({ platform: 'node', ...(await entryOf(name)) });
    try {
      const { output } = await bundle.generate({
        format: 'esm',
        codeSplitting: false,
        comments: false,
      });
      const [chunk] = output;
      const modules = Object.keys(chunk.modules);
      for (const path of modules) contained.add(path);
      const names = packagesOf(modules).map(titleOf);
      writeFileSync(join(folder, `${name}.js`), `// ${names.join(', ')}: see LICENSES.txt\n${chunk.code}`);
    } finally {
      await bundle.close();
    }
  }
  writeFileSync(join(folder, 'LICENSES.txt'), gatherLicenses([...contained]));
  for (const path of IMPORTERS.flatMap((name) => scriptsBelow(join(DIST, name)))) useBundles(path, folder);
}

/** All that the package exports: by name, since what a CommonJS module exports shows only when it runs. */
async function entryOf(name) {
  const id = `\0all of ${name}`;
  const names = Object.keys(await import(name)).filter((exported) => exported !== 'module.exports');
  const code = `export { ${names.join(', ')} } from ${JSON.stringify(name)};`;
  const plugin = {
    name: 'entry',
    resolveId: (source) => (source === id ? id : null),
    load: (source) => (source === id ? code : null),
  };
  return { input: id, cwd: ROOT, plugins: [plugin] };
}

function useBundles(path, folder) {
  const code = readFileSync(path, 'utf8');
  const own = relative(dirname(path), folder).split(sep).join('/');
  const changed = code.replace(IMPORT, (_, name) => `from '${own}/${name}.js'`);
  if (changed !== code) writeFileSync(path, changed);
}

function scriptsBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((path) => path.endsWith('.js'))
    .map((path) => join(folder, path));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundlePackages();
