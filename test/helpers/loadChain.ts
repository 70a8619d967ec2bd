/**
 * A row of loads into one topic, each killed at a step and started again; the oracle reads the topic once, at the end,
 * under `read_committed`.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { countFaults } from './faultCounts.ts';
import { LoadJob } from './loads.ts';
import { type SteppedRun, type StepTarget, startStepped, targetsOf } from './steps.ts';
import { type OffsetsMode, sorted, type Workspace } from './workspace.ts';

/** Rows a load takes, and those of a transaction: each load has several. */
const LOAD_ROWS = 30;
const CHUNK_ROWS = 10;
const WRITTEN = 'load.allWritten';
/** Nobody waits for signs of life here, and each is a transaction. */
const SIGNS = { heartbeatMs: 60_000, takeOverAfterMs: 180_000 };

export interface LoadKind {
  readonly from: 'files' | 'topic';
  /** Of the offsets of the topic that is read. */
  readonly mode: OffsetsMode;
}

export class LoadChain {
  readonly kind: LoadKind;
  readonly #job: LoadJob;
  /** Values of all rows that have been there to be loaded; from a topic: all of it. */
  readonly #values: string[];
  #files = 0;

  private constructor(kind: LoadKind, job: LoadJob, values: string[]) {
    this.kind = kind;
    this.#job = job;
    this.#values = values;
  }

  /** @param source Topic that is read, and the values in it. */
  static async make(
    workspace: Workspace,
    kind: LoadKind,
    source: { readonly topic: string; readonly values: readonly string[] },
  ): Promise<LoadChain> {
    const sink = { partitions: 2, chunkRecords: CHUNK_ROWS };
    const isTopic = kind.from === 'topic';
    const job = await LoadJob.make(workspace, {
      mode: kind.mode,
      sink,
      signs: SIGNS,
      ...(isTopic && { from: source.topic }),
    });
    return new LoadChain(kind, job, isTopic ? [...source.values] : []);
  }

  /** Steps of a load that nothing went before but one that has ended. */
  async explore(): Promise<StepTarget[]> {
    await this.#run(await this.#args());
    const { steps } = await this.#run(await this.#args());
    // How many transactions there are goes by the time that workers take; before and behind the last, there is one each.
    const early = targetsOf(steps).filter(({ nth }) => nth === 1);
    const late = targetsOf(steps, WRITTEN).filter(
      ({ name, nth }) => nth === 1 && steps.indexOf(name) < steps.indexOf(WRITTEN),
    );
    return [...early, ...late];
  }

  /** Starts a load that is killed there. From a topic the next one goes on; files are brought to their end first. */
  async kill(target: StepTarget): Promise<void> {
    const args = await this.#args();
    const { result, isStopped, steps } = await this.#start(args, target);
    const story = `${this.#name()} killed at ${target.name} ${target.nth}: ${steps.join(' ')}\n${result.stderr}`;
    expect({ signal: result.signal, isStopped }, story).toEqual({ signal: 'SIGKILL', isStopped: true });
    if (this.kind.from === 'files') await this.#run(args);
    this.#count({ kills: 1 }, target.name);
  }

  /** Loads the rest, and judges everything there is. */
  async end(): Promise<void> {
    await this.#run(this.kind.from === 'topic' ? this.#job.args([]) : await this.#args());
    const found = await this.#job.values();
    expect(found, this.#name()).toEqual(sorted(this.#values));
    this.#count({ rows: found.length });
  }

  /** A load takes a new file, or the next rows of the topic. */
  async #args(): Promise<string[]> {
    if (this.kind.from === 'topic') return this.#job.args(['--max-records', String(LOAD_ROWS)]);
    const name = `in-${this.#files++}.json`;
    const values = Array.from({ length: LOAD_ROWS }, (_, row) => `row ${row} of ${name}`);
    this.#values.push(...values);
    const text = values.map((value) => `${JSON.stringify({ value })}\n`).join('');
    await writeFile(join(this.#job.folder, name), text);
    return this.#job.args(['--path', join(this.#job.folder, name), '--format', 'json']);
  }

  async #run(args: readonly string[]): Promise<SteppedRun> {
    const ended = await this.#start(args);
    expect(ended.result, `${this.#name()}\n${ended.result.stderr}`).toMatchObject({ code: 0 });
    return ended;
  }

  #start(args: readonly string[], target?: StepTarget): Promise<SteppedRun> {
    const limited = [...args, '--workers', '1'];
    return startStepped(limited, this.#job.folder, target && { ...target, signal: 'SIGKILL' }).ended;
  }

  #name(): string {
    return `${this.kind.from} to topic, ${this.kind.mode}`;
  }

  #count(counts: Parameters<typeof countFaults>[1], step?: string): void {
    const { from, mode } = this.kind;
    const layout = `${from} to topic`;
    countFaults(
      { kind: 'crash', layout, ...(from === 'topic' && { mode }), ...(step !== undefined && { step }) },
      counts,
    );
  }
}
