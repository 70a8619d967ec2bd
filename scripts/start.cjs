/**
 * Starts the command, or one of its threads, from the one file that the build makes of all modules (bundleCommand.mjs), and
 * with the code that V8 compiled for an earlier run. It lies in `dist/bundle/` beside that file.
 *
 * A run of one message took 0.99 s of CPU when each thread read and compiled all its modules, 0.66 s from one file, and
 * 0.41 s with the code as well (two cores, November 2026). Node 20 keeps no compiled code by itself.
 *
 * The code is kept beside the bundle, by whoever first may write there: who can write there can change the program, too.
 * V8 takes it for this very version of V8 and its options alone. It does not compare the source, so that a bundle's code is
 * named after the bundle's own hash; nor a checksum, so that there is one here.
 */
'use strict';
const { readFileSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');
const { Script } = require('node:vm');
const { threadId } = require('node:worker_threads');
const { crc32 } = require('node:zlib');

/** The build replaces it. */
const HASH = '@hash@';
const BUNDLE = join(__dirname, 'kafkaload.cjs');
const CHECKSUM_BYTES = 4;

/**
 * @param name Of an entry: it is loaded alone, with what it needs.
 * @returns Its exports, and what keeps the code of all functions that have been called by then; it does so once.
 */
exports.start = (name) => {
  const path = join(__dirname, `${HASH}-${name}-${process.versions.v8}-${process.arch}.code`);
  const cachedData = readCode(path);
  // The build escapes all characters beyond ASCII: one byte each in memory as well.
  const script = new Script(readFileSync(BUNDLE, 'latin1'), { filename: BUNDLE, cachedData });
  const bundle = { exports: {} };
  const dist = pathToFileURL(join(__dirname, '..', '/')).href;
  script.runInThisContext()(
    bundle.exports,
    require,
    bundle,
    (module) => dist + module,
    (specifier) => import(specifier),
  );
  let isKept = cachedData !== undefined && !script.cachedDataRejected;
  const keepCode = () => {
    if (isKept) return;
    isKept = true;
    writeCode(path, script.createCachedData());
  };
  return { loaded: bundle.exports[name](), keepCode };
};

/** @returns Undefined where there is none, or none that is whole. */
function readCode(path) {
  try {
    const bytes = readFileSync(path);
    const code = bytes.subarray(CHECKSUM_BYTES);
    return bytes.length > CHECKSUM_BYTES && bytes.readUInt32LE(0) === crc32(code) ? code : undefined;
  } catch {
    return undefined;
  }
}

/** A folder that belongs to somebody else stays as it is: then every run compiles what it needs. */
function writeCode(path, code) {
  const temporary = `${path}.${process.pid}.${threadId}`;
  const checksum = Buffer.alloc(CHECKSUM_BYTES);
  checksum.writeUInt32LE(crc32(code));
  try {
    writeFileSync(temporary, Buffer.concat([checksum, code]), { flag: 'wx' });
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}
