/** A run of FILE mode among the others of its config: its number, the names it holds, what it has read. */
import { messageOf } from '../errors.ts';
import { fencedError, type RunContext } from './context.ts';
import { OffsetsFolder, savedState } from './fileState.ts';
import type { IntentRecord } from './intent.ts';
import type { StateKind, StateName } from './names.ts';
import { RunProgress } from './runSession.ts';
import type { SavedOffset, SavedOffsets } from './savedOffsets.ts';
import type { SavedState } from './types.ts';
import { startHeartbeat } from './watch.ts';

export class FileProgress extends RunProgress {
  readonly folder: OffsetsFolder;
  /** 0 until the folder was listed. */
  number = 0;
  offsets: SavedOffsets = new Map();
  state: SavedState = { offsets: [], others: [], topicIds: {}, previousRun: null };
  /** Names whose modification time shows that this run is alive: `run.E`, and an intent while it is being finished. */
  readonly #held = new Map<string, StateName>();

  constructor(context: RunContext) {
    super(context);
    this.folder = new OffsetsFolder(context.fs, context.offsets.name, context.config);
  }

  mine(kind: StateKind): StateName {
    return { kind, number: this.number, run: this.context.run };
  }

  hold(name: StateName): void {
    this.#held.set(name.kind, name);
  }

  release(name: StateName): null {
    this.#held.delete(name.kind);
    return null;
  }

  releaseAll(): void {
    this.#held.clear();
  }

  startHeartbeat(): void {
    const { clock, offsets } = this.context;
    this.heartbeat = startHeartbeat(clock, offsets.heartbeatMs, () => this.#beat());
  }

  async #beat(): Promise<void> {
    const { clock, log } = this.context;
    for (const name of [...this.#held.values()]) {
      try {
        const touched = await this.folder.touch(name, clock.nowMs());
        // An own rename may have come in between; then the name is no longer held.
        if (touched || this.#held.get(name.kind) !== name) continue;
        this.fence(fencedError(this.context, 'its record was renamed while it did not renew it'));
      } catch (error) {
        log(`warning: cannot renew ${this.folder.pathOf(name)}: ${messageOf(error)}`);
      }
    }
  }

  /** Reads the saved state of the config: what this run begins from. */
  async read(names: readonly StateName[]): Promise<void> {
    const { topics, plainTopic, step } = this.context;
    const last = await this.folder.readLastDone(names);
    this.offsets = await this.folder.readSaved({ topics, plainTopic, before: last });
    this.state = savedState(this.offsets, last, topics);
    await step('open.read');
  }

  /** What is saved, as the run of a record reads it. */
  async readSaved({ topics, plainTopic }: IntentRecord): Promise<Map<string, SavedOffset>> {
    const before = await this.folder.readLastDone(await this.folder.list());
    return this.folder.readSaved({ topics, plainTopic, before });
  }
}
