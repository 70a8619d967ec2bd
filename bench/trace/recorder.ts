/** Loaded into each thread of the command: appends a line of JSON for each span (src/spans.ts) to the file of KAFKALOAD_TRACE. */
import { subscribe } from 'node:diagnostics_channel';
import { openSync, writeSync } from 'node:fs';
import { isMainThread, threadId } from 'node:worker_threads';
import type { Span } from '../../src/spans.ts';

const path = process.env.KAFKALOAD_TRACE;
if (path !== undefined) {
  // At once: threads are ended without a word. Lines that are appended do not mix.
  const file = openSync(path, 'a');
  subscribe('kafkaload:span', (message) => {
    const { name, startMs, endMs } = message as Span;
    writeSync(file, `${JSON.stringify([isMainThread ? 0 : threadId, name, startMs, endMs])}\n`);
  });
}
