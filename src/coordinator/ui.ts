import type { Log } from './log.ts';
import type { ProgressSink } from './progress.ts';

/** What a run says while it is under way. */
export interface RunUi {
  readonly progress: ProgressSink;
  readonly log: Log;
}
