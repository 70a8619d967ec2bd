/**
 * Makes a checkout ready to run: dependencies as package-lock.json has them, and the build. Needs Node alone.
 *
 *     node scripts/setup.mjs        (npm run setup)
 *
 * Does nothing where both are up to date. `npm ci` takes minutes, because node-rdkafka compiles librdkafka, so a tree that
 * was installed by hand and agrees with the lockfile is taken as it is.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAssembly } from './buildAssembly.mjs';
import { bundleCommand, COMMAND_BUNDLE } from './bundleCommand.mjs';
import { BUNDLES, bundlePackages } from './bundlePackages.mjs';
import { copyPages } from './copyPages.mjs';
import { isSource, orphansOf, outputOf } from './outputs.mjs';
import { acquireLock } from './setupLock.mjs';
import { compilerProblem, nodeHeadersFolder, nodeProblem, optionalHeaderNotes } from './toolchain.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MODULES = join(ROOT, 'node_modules');
const DEPENDENCY_STAMP = join(MODULES, '.kafkaload-setup.json');
const DIST = join(ROOT, 'dist');
const BUILD_STAMP = join(DIST, '.build.json');
const SOURCE_FOLDERS = ['src', 'workers', 'bench'];
/** Outside node_modules, which `npm ci` deletes. */
const WORK_FOLDER = join(ROOT, '.setup');
const SAY_EVERY_MS = 15_000;

export class SetupError extends Error {}

/**
 * @throws SetupError whose message is one line, or one line above the end of a log: Node too old, a tool missing, `npm
 *   ci` or the compiler failed. Nothing half-done is taken for done by the next call.
 */
export async function setUp() {
  const problem = nodeProblem();
  if (problem !== null) throw new SetupError(problem);
  if (dependencyReason() === null && buildReason() === null) {
    console.log('Set-up: dependencies and build are up to date.');
    return;
  }
  const lock = await acquireLock(WORK_FOLDER, ({ host, pid }) =>
    console.log(`Set-up: another one is at work here (process ${pid} on ${host}); waiting for it ...`),
  );
  const onExit = () => lock.release();
  process.once('exit', onExit);
  try {
    // Looked at again: the set-up that was waited for may have done it all.
    const missing = dependencyReason();
    if (missing !== null) await installDependencies(missing, lock);
    const stale = buildReason();
    if (stale !== null) await build(stale);
  } finally {
    process.removeListener('exit', onExit);
    lock.release();
  }
  console.log('Set-up: done. `npx kafkaload --help` shows the command.');
}

/** @returns Why `npm ci` is needed, else null. Writes the stamp when the tree turns out to be right without one. */
function dependencyReason() {
  if (!existsSync(MODULES)) return 'node_modules is missing';
  const wanted = dependencyStamp();
  if (readIfThere(DEPENDENCY_STAMP) === wanted) return null;
  const difference = lockfileDifference();
  if (difference !== null) return difference;
  if (!addonLoads()) return 'node-rdkafka is not compiled for this Node';
  writeFileSync(DEPENDENCY_STAMP, wanted);
  return null;
}

/** The compiled addon fits one Node ABI on one platform. */
function dependencyStamp() {
  return JSON.stringify({
    lockfile: hashOf([join(ROOT, 'package-lock.json')]),
    abi: process.versions.modules,
    platform: `${process.platform}-${process.arch}`,
  });
}

/**
 * Compares package-lock.json with npm's own record of what is installed, which npm writes last and an interrupted
 * `npm ci` therefore lacks.
 */
function lockfileDifference() {
  const installed = readJson(join(MODULES, '.package-lock.json'))?.packages;
  if (installed === undefined) return 'an installation was not finished';
  const wanted = readJson(join(ROOT, 'package-lock.json')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '' || (entry.optional && installed[path] === undefined)) continue;
    if (installed[path]?.version !== entry.version || installed[path]?.integrity !== entry.integrity) {
      return `${path.replace(/^.*node_modules\//, '')} differs from package-lock.json`;
    }
  }
  return null;
}

function addonLoads() {
  const options = { cwd: ROOT, stdio: 'ignore' };
  return spawnSync(process.execPath, ['-e', "require('node-rdkafka')"], options).status === 0;
}

async function installDependencies(reason, lock) {
  const problem = compilerProblem();
  if (problem !== null) throw new SetupError(problem);
  for (const note of optionalHeaderNotes()) console.log(`Set-up: note: ${note}`);
  console.log(`Set-up: ${reason}: running npm ci.`);
  console.log('        It compiles librdkafka for node-rdkafka, once: 2 to 5 minutes.');
  rmSync(DEPENDENCY_STAMP, { force: true });
  const logPath = join(WORK_FOLDER, 'npm-ci.log');
  const startedMs = Date.now();
  const status = await runNpmCi(logPath, lock, startedMs);
  if (status !== 0) throw new SetupError(`npm ci failed (${status}). From ${logPath}:\n${causeIn(logPath)}`);
  if (!addonLoads()) {
    throw new SetupError(
      'npm ci left node-rdkafka uncompiled or unusable: install scripts may be switched off (`npm config get ' +
        `ignore-scripts\`); \`npm rebuild node-rdkafka --ignore-scripts=false\` shows more. From ${logPath}:\n${causeIn(logPath)}`,
    );
  }
  writeFileSync(DEPENDENCY_STAMP, dependencyStamp());
  console.log(`Set-up: dependencies installed in ${minutes(Date.now() - startedMs)}.`);
}

/** @returns npm's exit code, or the name of the signal that ended it. */
async function runNpmCi(logPath, lock, startedMs) {
  const npmCli = process.env.npm_execpath ?? '';
  const [command, first] = /npm-cli\.[cm]?js$/.test(npmCli) ? [process.execPath, [npmCli]] : ['npm', []];
  const options = ['ci', '--include=dev', '--no-audit', '--no-fund', '--foreground-scripts', '--prefix', ROOT];
  // One job at a time, whatever the user's shell asks for: in parallel the addon's make file uses librdkafka's
  // config.h before its own configure step has made it ("No rule to make target", node-rdkafka 3.6.1).
  const environment = { ...process.env, JOBS: '1', npm_config_jobs: '1', MAKEFLAGS: '' };
  const headers = nodeHeadersFolder();
  if (headers !== null) environment.npm_config_nodedir ??= headers;
  const log = openSync(logPath, 'w');
  const posix = process.platform !== 'win32';
  const child = spawn(command, [...first, ...options], {
    cwd: ROOT,
    env: environment,
    stdio: ['ignore', log, log],
    shell: !posix && first.length === 0,
    // A process group of its own: make and the compilers end with npm when we are stopped.
    detached: posix,
  });
  const stop = (signal) => {
    process.kill(posix ? -child.pid : child.pid, signal);
    process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const ticker = setInterval(() => console.log(`        ${progressLine(Date.now() - startedMs)}`), SAY_EVERY_MS);
  let disown = () => {};
  try {
    return await new Promise((resolve, reject) => {
      child.once('spawn', () => {
        disown = lock.adopt(child.pid);
      });
      child.once('error', (error) => reject(new SetupError(`cannot start npm: ${error.message}`)));
      child.once('close', (code, signal) => resolve(code ?? signal));
    });
  } finally {
    clearInterval(ticker);
    process.removeListener('SIGINT', stop).removeListener('SIGTERM', stop);
    disown();
  }
}

function progressLine(elapsedMs) {
  const addon = join(MODULES, 'node-rdkafka');
  const objects = [join(addon, 'deps', 'librdkafka', 'src'), join(addon, 'build', 'Release', 'obj.target')];
  const compiled = objects.flatMap((folder) => filesBelow(folder)).filter((path) => path.endsWith('.o')).length;
  const what = existsSync(join(addon, 'build'))
    ? `compiling node-rdkafka, ${compiled} files so far`
    : 'downloading packages';
  return `${minutes(elapsedMs)}: ${what}`;
}

/** @returns Why a build is needed, else null. */
function buildReason() {
  if (!existsSync(BUILD_STAMP)) return 'the build is missing';
  if (readIfThere(BUILD_STAMP) !== buildStamp()) return 'the build is older than its sources';
  const outputs = sources().map((path) => join(DIST, outputOf(relative(ROOT, path))));
  const gone = [...outputs, ...COMMAND_BUNDLE, ...BUNDLES].find((path) => !existsSync(path));
  return gone === undefined ? null : `the build lacks ${relative(ROOT, gone)}`;
}

function buildStamp() {
  return JSON.stringify({
    sources: hashOf([
      ...sources(),
      ...['buildAssembly.mjs', 'bundleCommand.mjs', 'bundlePackages.mjs', 'start.cjs'].map((name) =>
        join(ROOT, 'scripts', name),
      ),
      join(ROOT, 'tsconfig.json'),
      join(ROOT, 'package-lock.json'),
    ]),
  });
}

async function build(reason) {
  console.log(`Set-up: ${reason}: compiling TypeScript.`);
  const stamp = buildStamp();
  rmSync(BUILD_STAMP, { force: true });
  const compiler = join(MODULES, 'typescript', 'bin', 'tsc');
  const result = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.json'], { cwd: ROOT, encoding: 'utf8' });
  if (result.status !== 0) throw new SetupError(`the TypeScript build failed:\n${result.stdout}${result.stderr}`);
  await buildAssembly().catch((error) => {
    throw new SetupError(`the WebAssembly build failed:\n${error.message}`);
  });
  copyPages();
  await bundleCommand().catch((error) => {
    throw new SetupError(`the command could not be bundled:\n${error.message}`);
  });
  await bundlePackages().catch((error) => {
    throw new SetupError(`packages could not be bundled:\n${error.message}`);
  });
  removeOrphans();
  mkdirSync(DIST, { recursive: true });
  writeFileSync(BUILD_STAMP, stamp);
}

/** Output whose source was deleted or renamed would still be found by an import. */
function removeOrphans() {
  const wanted = sources().map((path) => relative(ROOT, path));
  const files = SOURCE_FOLDERS.flatMap((folder) => filesBelow(join(DIST, folder))).map((path) => relative(DIST, path));
  for (const path of orphansOf(wanted, files)) rmSync(join(DIST, path));
}

function sources() {
  return SOURCE_FOLDERS.flatMap((folder) => filesBelow(join(ROOT, folder))).filter(isSource);
}

/** Sorted, so that a hash over them is stable; empty for a folder that is not there. */
function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths) {
    const content = readFileSync(path);
    hash.update(`${relative(ROOT, path)} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
}

function readIfThere(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

function readJson(path) {
  const text = readIfThere(path);
  return text === undefined ? undefined : JSON.parse(text);
}

/** The lines that name a cause, else the end: a compiler's error stands far above the end of npm's log. */
function causeIn(logPath) {
  const lines = readFileSync(logPath, 'utf8').trimEnd().split('\n');
  const named = lines.filter((line) => /\*\*\*|\berror[: ]|ERR!|not found/i.test(line));
  return (named.length > 0 ? named.slice(0, 20) : lines.slice(-40)).join('\n');
}

function minutes(elapsedMs) {
  const seconds = Math.round(elapsedMs / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  try {
    await setUp();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`Set-up failed: ${error.message}`);
    process.exitCode = 1;
  }
}
