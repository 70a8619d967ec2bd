/**
 * Loaded by `node --require` into a command under test, and by Node into its worker threads as well: sees every file
 * operation below a folder, writes them down, and fails those it is told to. The command itself is as it is built.
 *
 * KAFKALOAD_TEST_FILES is JSON: `root`; `log`, a file for lines of JSON; `withData`, whether bytes are written down;
 * `fail`: { signature, code, lasting }, where `signature` is that of the first operation to fail (signatureOf);
 * `fullWhile`: a file; for as long as it is there, nothing can be written, as on a full disk.
 */
const fs = require('node:fs');
const { syncBuiltinESMExports } = require('node:module');
const { getEnvironmentData, isMainThread, setEnvironmentData, threadId } = require('node:worker_threads');

const settings = JSON.parse(process.env.KAFKALOAD_TEST_FILES);
const KEY = 'kafkaload-test-files';
// Shared by the threads: [0] operations that have ended, [1] faults injected.
if (isMainThread) setEnvironmentData(KEY, new SharedArrayBuffer(8));
const counters = new Int32Array(getEnvironmentData(KEY));
const originals = { ...fs.promises };
const logFile = settings.log === undefined ? null : fs.openSync(settings.log, 'a');
const writeLine = fs.writeSync;
let handles = 0;

/** What an operation does, whatever its run and number: `write staging/CLUSTER/RUN/part-N.staged`. */
function signatureOf(call, path) {
  const place = path
    .slice(settings.root.length + 1)
    .replace(/\d{8}T\d{6}Z-[0-9a-f]{8}/g, 'RUN')
    .replace(/staging\/[^/]+/, 'staging/CLUSTER')
    .replace(/(part|spool)-\d+/, '$1-N')
    .replace(/\.(run|intent|next|done|fenced|temp)\.\d+/, '.$1.N')
    .replace(/=\w+/g, '=VALUE');
  return `${call} ${place}`;
}

function errorOf(code, call, path) {
  const words = { ENOSPC: 'no space left on device', EIO: 'i/o error', EACCES: 'permission denied' }[code];
  const ofFile = path === null ? '' : ` '${path}'`;
  return Object.assign(new Error(`${code}: ${words}, ${call}${ofFile}`), {
    code,
    syscall: call,
    ...(path && { path }),
  });
}

/** 'short', or the error to fail with; null: nothing. */
function verdictOn(call, path, isOfHandle) {
  const { fail, fullWhile } = settings;
  if (fullWhile && ['write', 'mkdir'].includes(call) && fs.existsSync(fullWhile)) {
    return errorOf('ENOSPC', call, isOfHandle ? null : path);
  }
  if (!fail) return null;
  const count = Atomics.load(counters, 1);
  const isFirst = count === 0 && signatureOf(call, path) === fail.signature;
  if (!isFirst && !(fail.lasting && count > 0)) return null;
  if (isFirst && Atomics.compareExchange(counters, 1, 0, 1) !== 0) return null;
  if (isFirst && fail.code === 'short') return 'short';
  return errorOf(fail.code === 'short' ? 'ENOSPC' : fail.code, call, isOfHandle ? null : path);
}

function note(call, path, more = {}) {
  if (logFile === null) return;
  const seq = Atomics.add(counters, 0, 1);
  writeLine(logFile, `${JSON.stringify({ seq, call, path, signature: signatureOf(call, path), ...more })}\n`);
}

const isOurs = (path) => typeof path === 'string' && (path === settings.root || path.startsWith(`${settings.root}/`));

for (const call of ['stat', 'readdir', 'readFile', 'mkdir', 'link', 'rename', 'unlink', 'rmdir', 'rm', 'utimes']) {
  fs.promises[call] = async (path, ...more) => {
    if (!isOurs(path)) return originals[call](path, ...more);
    const error = verdictOn(call, path, false);
    if (error instanceof Error) throw error;
    const result = await originals[call](path, ...more);
    note(call, path, typeof more[0] === 'string' ? { to: more[0] } : {});
    return result;
  };
}

fs.promises.open = async (path, flags, ...more) => {
  if (!isOurs(path)) return originals.open(path, flags, ...more);
  const error = verdictOn('open', path, false);
  if (error instanceof Error) throw error;
  const file = await originals.open(path, flags, ...more);
  const handle = `${threadId}-${handles++}`;
  note('open', path, { handle, flags });
  for (const [method, call] of Object.entries({
    read: 'read',
    write: 'write',
    stat: 'fstat',
    sync: 'fsync',
    close: 'close',
  })) {
    const original = file[method].bind(file);
    file[method] = async (...args) => {
      const verdict = verdictOn(call, path, true);
      // A close that fails has closed.
      if (verdict instanceof Error && call === 'close') await original();
      if (verdict instanceof Error) throw verdict;
      if (call !== 'write') {
        const result = await original(...args);
        note(call, path, { handle });
        return result;
      }
      const [buffer, offset, length, position] = args;
      const bytes = verdict === 'short' ? Math.ceil(length / 2) : length;
      // They may be changed once the write has ended.
      const data = settings.withData ? Buffer.from(buffer.subarray(offset, offset + bytes)).toString('base64') : '';
      const result = await original(buffer, offset, bytes, position);
      note(call, path, { handle, position, data });
      return result;
    };
  }
  return file;
};

syncBuiltinESMExports();
