/** A run as a process of its own, which kills or stops itself at its n-th step. Prints its result as a line of JSON. */
import { type LoadOptions, load } from './harness.ts';

export interface LoaderOptions extends LoadOptions {
  /** Steps are counted from 1; 0: run to the end. */
  readonly stopAtStep: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

const options = JSON.parse(process.argv[2] ?? '') as LoaderOptions;
let steps = 0;
const result = await load(options, {
  onStep: () => {
    steps += 1;
    if (steps === options.stopAtStep) process.kill(process.pid, options.signal);
  },
});
process.stdout.write(`${JSON.stringify(result)}\n`);
