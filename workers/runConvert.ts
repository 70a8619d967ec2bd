/** What a worker thread runs: one runner for the life of the thread, so that its encoder outlives a file. */
import {
  type ConvertOutcome,
  type ConvertSettings,
  type ConvertTask,
  ConvertTaskRunner,
} from '../src/coordinator/convert/convertTask.ts';

let runner: ConvertTaskRunner | undefined;

export default ({ task, settings }: { task: ConvertTask; settings: ConvertSettings }): Promise<ConvertOutcome> => {
  runner ??= new ConvertTaskRunner(settings);
  return runner.run(task);
};
