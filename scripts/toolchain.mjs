/**
 * What must be on the machine before node-rdkafka can be compiled, looked for beforehand: an error of node-gyp, minutes
 * later, would not name it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The oldest Node that every dependency runs on; the same as `engines` in package.json. */
const OLDEST_NODE = [20, 19];

/** @returns A sentence when this Node is too old, else null. */
export function nodeProblem(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const old = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1]);
  return old
    ? `kafkaload needs Node ${OLDEST_NODE.join('.')} or newer, and this is ${version}: install a newer one`
    : null;
}

/** @returns A sentence that names every tool that is missing, else null. Windows downloads librdkafka ready-made. */
export function compilerProblem() {
  if (process.platform === 'win32') return null;
  const missing = [];
  if (!runs(process.env.CC ?? 'cc') && !runs('gcc')) missing.push('a C compiler (gcc)');
  if (!runs(process.env.CXX ?? 'c++') && !runs('g++')) missing.push('a C++ compiler (g++)');
  if (!runs('make')) missing.push('make');
  if (!runs(process.env.npm_config_python ?? process.env.PYTHON ?? 'python3') && !runs('python3'))
    missing.push('python3');
  if (!runs('bash')) missing.push('bash');
  if (missing.length === 0) return null;
  return (
    `cannot compile node-rdkafka: ${missing.join(', ')} not found. ` +
    'Install them (Debian, Ubuntu: apt-get install g++ make python3; Fedora: dnf install gcc-c++ make python3; ' +
    'macOS: xcode-select --install) and run `npm run setup` again'
  );
}

/** @returns Lines about headers that librdkafka compiles without, each with what is lost. */
export function optionalHeaderNotes() {
  if (process.platform === 'win32') return [];
  const notes = [];
  if (!hasHeader('openssl/ssl.h')) {
    notes.push(
      'OpenSSL headers (libssl-dev) are missing: kafkaload will work with PLAINTEXT brokers alone. ' +
        'For TLS and SASL install them, delete node_modules and run `npm run setup` again.',
    );
  }
  if (!hasHeader('zstd.h')) {
    notes.push(
      'zstd headers (libzstd-dev) are missing; nothing is lost: kafkaload reads zstd with a decoder of its own.',
    );
  }
  return notes;
}

/**
 * Node's C++ headers lie beside its binary in most installations; with them node-gyp downloads nothing. Debian splits
 * the two into packages that can differ in version: headers of another version are not used.
 *
 * @returns The folder for npm_config_nodedir, else null.
 */
export function nodeHeadersFolder() {
  const folder = dirname(dirname(realpathSync(process.execPath)));
  const header = join(folder, 'include', 'node', 'node_version.h');
  if (!existsSync(header) || !existsSync(join(folder, 'include', 'node', 'node.h'))) return null;
  const text = readFileSync(header, 'utf8');
  const numbers = ['MAJOR', 'MINOR', 'PATCH'].map((part) => text.match(`#define NODE_${part}_VERSION (\\d+)`)?.[1]);
  return numbers.join('.') === process.versions.node ? folder : null;
}

/** `command` may be several words, as CC="ccache gcc" is. */
function runs(command) {
  const [program = '', ...options] = command.split(' ');
  return spawnSync(program, [...options, '--version'], { stdio: 'ignore' }).status === 0;
}

function hasHeader(name) {
  const compiler = process.env.CC ?? 'cc';
  return (
    spawnSync(compiler, ['-E', '-x', 'c', '-'], { input: `#include <${name}>\n`, stdio: ['pipe', 'ignore', 'ignore'] })
      .status === 0
  );
}
