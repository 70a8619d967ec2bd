/** What a worker thread runs: one runner for as long as settings stay, so that connections and buffers outlive a unit. */
import { type LoadTask, LoadTaskRunner } from '../src/coordinator/load/loadTask.ts';

let runner: LoadTaskRunner | undefined;

export default async (task: LoadTask): Promise<void> => {
  if (runner && !runner.fits(task.settings)) {
    await runner.close();
    runner = undefined;
  }
  runner ??= new LoadTaskRunner(task.settings);
  return runner.run(task);
};
