/**
 * What a run is to its caller, the same in both modes: how it opens, concludes and ends. What it does in between are the
 * steps of fileRun.ts or streamRun.ts.
 */
import { messageOf, type OffloadError } from '../errors.ts';
import { afterPrepare, describeFailure, type RunContext } from './context.ts';
import type { DiscardedRun, Intent, RunSession, SavedState } from './types.ts';
import type { Heartbeat } from './watch.ts';

type RecoveredRun = RunSession['recovered'][number];

/** How far a run is, and what it has done for those before it. */
export class RunProgress {
  readonly context: RunContext;
  readonly recovered: RecoveredRun[] = [];
  readonly discarded: DiscardedRun[] = [];
  /** `bound` from before a call that may prepare or take an intent over: then nothing of ours is removed on error. */
  phase: 'free' | 'bound' = 'free';
  heartbeat: Heartbeat | null = null;
  readonly #fenced = new AbortController();
  #ending: Promise<void> | null = null;

  constructor(context: RunContext) {
    this.context = context;
  }

  get signal(): AbortSignal {
    return this.#fenced.signal;
  }

  /** Another run has taken over. */
  fence(error: OffloadError): void {
    this.#fenced.abort(error);
  }

  /** Null as long as the run goes on. */
  get ending(): Promise<void> | null {
    return this.#ending;
  }

  /** Ends the run, once. @param rest What is left to do when no heartbeat comes any more. */
  end(rest: () => void | Promise<void>): Promise<void> {
    this.#ending ??= this.#endOnce(rest);
    return this.#ending;
  }

  async #endOnce(rest: () => void | Promise<void>): Promise<void> {
    await this.heartbeat?.stop();
    await rest();
  }
}

/** The steps of one mode. */
export interface RunSteps {
  readonly progress: RunProgress;
  readonly saved: SavedState;
  /** Whether the record of this run is still there, and its own. */
  holdsRecord(): Promise<boolean>;
  open(): Promise<void>;
  finish(intent: Intent): Promise<void>;
  replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void>;
  /** Ends a run that may have prepared: it touches nothing more. */
  end(): Promise<void>;
  close(): Promise<void>;
}

/** @throws OffloadError as `openRun`; what the run made so far is removed then, if it is bound to nothing. */
export async function openSession(steps: RunSteps): Promise<RunSession> {
  const { log } = steps.progress.context;
  try {
    await steps.open();
    return new Session(steps);
  } catch (error) {
    await steps.close().catch((closing: unknown) => log(`warning: ${messageOf(closing)}`));
    throw describeFailure(error, 'open the run');
  }
}

class Session implements RunSession {
  readonly run: string;
  readonly stagingPath: string;
  readonly #steps: RunSteps;
  readonly #progress: RunProgress;

  constructor(steps: RunSteps) {
    this.#steps = steps;
    this.#progress = steps.progress;
    this.run = steps.progress.context.run;
    this.stagingPath = steps.progress.context.stagingPath;
  }

  get saved(): SavedState {
    return this.#steps.saved;
  }

  get recovered(): readonly RecoveredRun[] {
    return this.#progress.recovered;
  }

  get discarded(): readonly DiscardedRun[] {
    return this.#progress.discarded;
  }

  get signal(): AbortSignal {
    return this.#progress.signal;
  }

  async isTakenOver(): Promise<boolean> {
    return this.signal.aborted || !(await this.#steps.holdsRecord());
  }

  finish(intent: Intent): Promise<void> {
    return this.#conclude(() => this.#steps.finish(intent));
  }

  replaceSaved(...change: Parameters<RunSession['replaceSaved']>): Promise<void> {
    return this.#conclude(() => this.#steps.replaceSaved(...change));
  }

  close(): Promise<void> {
    return this.#steps.close();
  }

  async #conclude(act: () => Promise<void>): Promise<void> {
    try {
      this.signal.throwIfAborted();
      await act();
    } catch (error) {
      const { context, phase } = this.#progress;
      const isBound = phase === 'bound';
      const failure = describeFailure(error, isBound ? 'publish and commit' : 'prepare');
      throw isBound ? afterPrepare(failure, context) : failure;
    } finally {
      if (this.#progress.phase === 'bound') await this.#steps.end();
    }
  }
}
