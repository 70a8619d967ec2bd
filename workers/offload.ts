/** Thread entry: one runner for the life of the thread, so that connections and buffers outlive a task. */
import { workerData } from 'node:worker_threads';
import { FetchTaskRunner, type TaskOutcome, type WorkerSettings } from '../src/coordinator/fetchTask.ts';
import type { FetchTask } from '../src/plan/tasks.ts';

const runner = new FetchTaskRunner(workerData as WorkerSettings);

export default (task: FetchTask): Promise<TaskOutcome> => runner.run(task);
