/** Loaded by `node --require` into a command under test: writes down the highest resident set of its process, in bytes. */
const { readFileSync, writeFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

if (isMainThread) {
  process.on('exit', () => {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    writeFileSync(process.env.KAFKALOAD_TEST_PEAK, String(Number(kibibytes) * 1024));
  });
}
