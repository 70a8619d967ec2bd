/** What a worker thread runs: one runner for the life of the thread, so that connections and buffers outlive a unit. */
import { type LoadTask, LoadTaskRunner } from '../src/coordinator/load/loadTask.ts';

let runner: LoadTaskRunner | undefined;

export default (task: LoadTask): Promise<void> => {
  runner ??= new LoadTaskRunner(task.settings);
  return runner.run(task);
};
