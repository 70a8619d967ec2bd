/** What a worker thread runs: one runner for the life of the thread, so that connections and buffers outlive a task. */
import { FetchTaskRunner, type TaskOutcome, type WorkerSettings } from '../src/coordinator/fetchTask.ts';
import type { FetchTask } from '../src/plan/tasks.ts';

let runner: FetchTaskRunner | undefined;

export default ({ task, settings }: { task: FetchTask; settings: WorkerSettings }): Promise<TaskOutcome> => {
  runner ??= new FetchTaskRunner(settings);
  return runner.run(task);
};
