import type { Log } from './log.ts';
import type { ProgressOutput, ProgressSink } from './progress.ts';

/** What a run says while it is under way. */
export interface RunUi {
  readonly progress: ProgressSink;
  readonly log: Log;
  /** Of a stream, which does not wait for its end to show rows, and how it goes. */
  readonly stdout: { write(text: string): unknown };
  readonly stderr: ProgressOutput & { readonly columns?: number };
}
