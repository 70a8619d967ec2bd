/** What a worker thread runs: one flow, until it is told to stop. */
export { runFlow as default } from '../src/stream/continuous/flowTask.ts';
