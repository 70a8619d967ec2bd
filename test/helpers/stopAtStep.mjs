/**
 * Preloaded into the real command (`node --import`), also into its threads: notes every named step it passes (steps.ts
 * of the sources) and sends the process a signal at one of them. Plain JavaScript, since Node 20 loads nothing else.
 *
 * KAFKALOAD_TEST_STEPS: file the names are appended to, one a line, before the run goes on.
 * KAFKALOAD_TEST_STOPS: `[{"signal":"SIGKILL","name":"publish.begun","nth":1,"after":"open.cleaned"}]`; `after` is
 *   optional: only steps that follow the first of that name are counted. With `when` in place of `nth`: the first of its
 *   name that is passed while this file is there.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync, existsSync, readFileSync, rmSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

const path = process.env.KAFKALOAD_TEST_STEPS ?? '';
const stops = JSON.parse(process.env.KAFKALOAD_TEST_STOPS ?? '[]');
let passed = 0;

subscribe('kafkaload:step', (message) => {
  const { name } = /** @type {{ name: string }} */ (message);
  // An append is one write, so lines of several threads stand in one order, and each thread finds its own.
  const line = `${name} ${threadId}.${passed++}`;
  appendFileSync(path, `${line}\n`);
  for (const stop of stops) {
    if (name !== stop.name) continue;
    if (stop.when !== undefined) {
      if (!existsSync(stop.when)) continue;
      rmSync(stop.when);
    } else if (!isNth(line, stop)) continue;
    appendFileSync(path, `! ${stop.signal} ${line}\n`);
    process.kill(process.pid, stop.signal);
  }
});

function isNth(line, { name, nth, after }) {
  const lines = readFileSync(path, 'utf8').split('\n');
  const from = after === undefined ? 0 : lines.findIndex((other) => other.startsWith(`${after} `));
  if (from === -1) return false;
  const before = lines.slice(from, lines.indexOf(line) + 1);
  return before.filter((other) => other.startsWith(`${name} `)).length === nth;
}
