/**
 * Makes one file of all modules of the command and of its threads, and has `dist/src/cli.js` and `dist/workers/*.cjs` start
 * from it; why, is told in start.cjs.
 *
 *     node scripts/bundleCommand.mjs        (part of npm run build)
 *
 * The compiler writes both anew, so that what it has just compiled is what runs: without this step the build works the
 * same, slower. The modules stay for whoever imports the package. Nothing is minified: stack traces stay readable.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gatherLicenses } from './licenses.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
/** What starts by what name, by its module in `dist/`. */
const ENTRIES = {
  cli: 'src/command.js',
  offload: 'workers/runTask.js',
  load: 'workers/runLoad.js',
  convert: 'workers/runConvert.js',
  flow: 'workers/runFlow.js',
};
/** Of JavaScript alone. Addons, what looks for files of its own and what few runs need stay packages. */
const CONTAINED = ['apache-arrow', 'commander', 'yaml', 'zod'];
const OUTSIDE = '\0outside:';
/** In names of modules, where the bundler would cut a path. */
const SLASH = '|';

/** Files that are there when the bundle is. */
export const COMMAND_BUNDLE = ['kafkaload.cjs', 'start.cjs'].map((name) => join(ROOT, 'dist', 'bundle', name));

/**
 * Follows the compiler; of packages whose imports were changed already (bundlePackages.mjs) more is kept than is used.
 *
 * @param dist Folder of the build.
 * @throws Error with what the bundler says.
 */
export async function bundleCommand(dist = join(ROOT, 'dist')) {
  const { rolldown } = await import('rolldown');
  const folder = join(dist, 'bundle');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const bundle = await rolldown({ platform: 'node', cwd: ROOT, input: '\0entries', plugins: [modulesOf(dist)] });
  try {
    const { output } = await bundle.generate({ format: 'cjs', codeSplitting: false, comments: false });
    const [chunk] = output;
    const code = chunk.code
      // A script has no `import()` of its own that code which was kept could call: the loader brings it.
      .replace(/\bimport\(/g, 'importOutside(')
      .replace(/[^\0-\x7f]/g, escapeCharacter);
    const whole = `(function (exports, require, module, urlOf, importOutside) {\n${code}\n})`;
    writeFileSync(join(folder, 'kafkaload.cjs'), whole);
    writeFileSync(join(folder, 'LICENSES.txt'), gatherLicenses(Object.keys(chunk.modules)));
    const hash = createHash('sha256').update(whole).digest('hex').slice(0, 16);
    const start = readFileSync(join(ROOT, 'scripts', 'start.cjs'), 'utf8');
    writeFileSync(join(folder, 'start.cjs'), start.replace('@hash@', hash));
  } finally {
    await bundle.close();
  }
  writeFileSync(join(dist, 'src', 'cli.js'), STARTS_COMMAND);
  for (const file of readdirSync(join(dist, 'workers')).filter((name) => name.endsWith('.cjs'))) {
    const name = file.replace('.cjs', '');
    if (!(name in ENTRIES)) throw new Error(`no entry of the bundle is for the thread ${name}`);
    writeFileSync(join(dist, 'workers', file), startsThread(name));
  }
}

/** What is found where, for the bundler. */
function modulesOf(dist) {
  const entries = Object.entries(ENTRIES).map(
    ([name, module]) => `export const ${name} = () => import(${JSON.stringify(join(dist, module))});`,
  );
  return {
    name: 'modules',
    resolveId(source, importer, { kind }) {
      if (source === '\0entries') return source;
      // An `import()` of a package stays: it gets what user code gets by the same name.
      if (isFile(source)) return null;
      if (kind === 'dynamic-import' || importer?.startsWith(OUTSIDE)) return { id: source, external: true };
      const isOfPackage = importer !== undefined && !importer.startsWith(dist + sep);
      if (CONTAINED.includes(source) || (isOfPackage && !isBuiltin(source))) return null;
      return OUTSIDE + source.replaceAll('/', SLASH);
    },
    load(id) {
      if (id === '\0entries') return entries.join('\n');
      if (!id.startsWith(OUTSIDE)) return null;
      // A module of its own, so that it is loaded when the first module that imports it is.
      const source = id.slice(OUTSIDE.length).replaceAll(SLASH, '/');
      return `module.exports = require(${JSON.stringify(source)});`;
    },
    transform(code, id) {
      if (!id.startsWith(dist + sep) || !code.includes('import.meta.url')) return null;
      const module = relative(dist, id).split(sep).join('/');
      return code.replaceAll('import.meta.url', `urlOf(${JSON.stringify(module)})`);
    },
  };
}

function isFile(source) {
  return source.startsWith('.') || source.startsWith('\0') || isAbsolute(source);
}

function escapeCharacter(character) {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

const STARTS_COMMAND = `#!/usr/bin/env node
import bundle from '../bundle/start.cjs';

const { loaded, keepCode } = bundle.start('cli');
await (await loaded).runCommand(keepCode);
`;

function startsThread(name) {
  return `'use strict';
const { loaded, keepCode } = require('../bundle/start.cjs').start('${name}');
// Whoever runs a task is told; without one nobody asks.
loaded.catch(() => {});
module.exports = async (task) => {
  const outcome = await (await loaded).default(task);
  keepCode();
  return outcome;
};
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleCommand();
