/** What a worker thread runs: one runner for the life of the thread, so that connections and buffers outlive a task. */
import type { StagedFormat } from '../src/config/writerOptions.ts';
import { FetchTaskRunner } from '../src/coordinator/fetchTask.ts';
import type { TaskOutcome, WorkerSettings } from '../src/coordinator/fetchTypes.ts';
import { loadFileFormat } from '../src/encode/fileFormat.ts';
import type { FetchTask } from '../src/plan/tasks.ts';

// The encoder is loaded while the run is still being planned; if it cannot be, the first task says so.
const [, , output] = process.argv;
if (output !== undefined) loadFileFormat(JSON.parse(output) as StagedFormat).catch(() => {});

let runner: FetchTaskRunner | undefined;

export default ({ task, settings }: { task: FetchTask; settings: WorkerSettings }): Promise<TaskOutcome> => {
  runner ??= new FetchTaskRunner(settings);
  return runner.run(task, settings);
};
