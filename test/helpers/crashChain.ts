/**
 * A row of runs of one config, each killed at a step and each making good what was left of the one before: the second
 * run of one kill is the first of the next. From the steps that were passed follows, exactly, what must be visible and
 * saved at every moment, and that is looked at after every kill.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { checkRows, followSteps, type Known, nothingKnown } from './crashKnown.ts';
import { BATCH, type Combination, LAYOUT_ARGS, PARTITIONS, readRows } from './crashLayouts.ts';
import { countFaults } from './faultCounts.ts';
import { type SteppedCommand, type SteppedRun, type StepTarget, startStepped, targetsOf } from './steps.ts';
import { delay } from './wait.ts';
import type { OffloadJob, Workspace } from './workspace.ts';

/** Five seconds are promised; a machine that is busy with other tests is given more. */
const STOPPED_WITHIN_MS = 20_000;

/** Messages that `Workspace.send` has put into both partitions in turn, and nothing else. */
export interface ChainSource {
  readonly topic: string;
  /** A multiple of what a run takes. */
  readonly rowsByPartition: number;
}

/** A run that is killed here leaves all that one can leave without being prepared. */
const STAGED: StepTarget = { name: 'stage.rowsWritten', nth: 1 };

export class CrashChain {
  readonly combination: Combination;
  readonly job: OffloadJob;
  readonly #source: ChainSource;
  readonly #known: Known = nothingKnown();
  /** STREAM: folders of runs that died before their record could name them; they stay, empty, for an hour. */
  #unnamed = 0;
  /** Batches that share the manifest of another: one run has read them all. */
  #joined = 0;
  readonly #story: string[] = [];

  private constructor(combination: Combination, job: OffloadJob, source: ChainSource) {
    this.combination = combination;
    this.job = job;
    this.#source = source;
  }

  /** @param access More of the entry's `accessOptions`. */
  static async make(
    workspace: Workspace,
    source: ChainSource,
    combination: Combination,
    access: Readonly<Record<string, unknown>> = {},
  ): Promise<CrashChain> {
    const { mode } = combination;
    const fields = ['value as STRING', 'partition as INT', 'offset as LONG'];
    // Several tasks, and so several row groups, for a batch.
    const entry = { fields, accessOptions: { minPartitions: 4, ...access } };
    return new CrashChain(combination, await workspace.job({ topic: source.topic, mode, entry }), source);
  }

  get isPrepared(): boolean {
    return this.#known.isPrepared;
  }

  /** Steps of a run over what two before it have left, and of the recovery of one that died prepared. */
  async explore(): Promise<{ own: StepTarget[]; recovery: StepTarget[] }> {
    await this.finish();
    await this.finish();
    const { steps } = await this.finish();
    await this.kill({ name: 'prepare.after', nth: 1 }, 'crash');
    const { steps: recovered } = await this.finish();
    await this.kill(STAGED, 'crash');
    const { steps: cleaned } = await this.finish();
    const more = targetsOf(untilOpen(cleaned)).filter(({ name }) => !steps.includes(name));
    return {
      own: [...targetsOf(steps), ...more.map((target) => ({ ...target, isCleanUp: true }))],
      recovery: targetsOf(untilOpen(recovered)),
    };
  }

  /** Starts a run over the next rows; `look` is to be called when it has ended, or sleeps. */
  start(stop?: StepTarget & { readonly signal: NodeJS.Signals }, ...more: string[]): SteppedCommand {
    return startStepped([...this.#args(BATCH * PARTITIONS.length), ...more], this.job.folder, stop);
  }

  /** Runs once more, to the end. */
  async finish(...more: string[]): Promise<SteppedRun> {
    const ended = await this.start(undefined, ...more).ended;
    expect(ended.result, `${this.#tell('not killed')}\n${ended.result.stderr}`).toMatchObject({ code: 0 });
    await this.look(ended.steps);
    return ended;
  }

  /** Starts a run that is killed there, and looks at what it left. */
  async kill(target: StepTarget, kind: string): Promise<void> {
    if (target.isCleanUp) await this.kill(STAGED, kind);
    const { result, isStopped, steps } = await this.start({ ...target, signal: 'SIGKILL' }).ended;
    const story = this.#tell(`killed at ${target.name} ${target.nth}`);
    expect({ signal: result.signal, isStopped }, `${story}\n${steps.join(' ')}\n${result.stderr}`).toEqual({
      signal: 'SIGKILL',
      isStopped: true,
    });
    this.count(kind, { kills: 1, rows: await this.look(steps) }, target.name);
  }

  /** Gives the ranges of a prepared run back, and is killed on the way if there is a target. */
  async discard(target?: StepTarget): Promise<SteppedRun> {
    const { confPath, config, folder } = this.job;
    const args = ['offsets', 'recover', '--discard', '--conf', confPath, '--config', config];
    const ended = await startStepped(args, folder, target && { ...target, signal: 'SIGKILL' }).ended;
    const story = this.#tell(`discard ${target?.name ?? ''}`);
    expect({ code: ended.result.code, isStopped: ended.isStopped }, `${story}\n${ended.result.stderr}`).toEqual(
      target ? { code: null, isStopped: true } : { code: 0, isStopped: false },
    );
    const rows = await this.look(ended.steps);
    if (target) this.count('crash of a discard', { kills: 1, rows }, target.name);
    return ended;
  }

  /** Sends a signal that asks the run to stop at a step; the run must have left no half of anything. */
  async stop(target: StepTarget, signal: 'SIGTERM' | 'SIGINT'): Promise<void> {
    const run = this.start({ ...target, signal });
    const late = delay(STOPPED_WITHIN_MS).then(() => Promise.reject(new Error(`still there: ${run.output().stderr}`)));
    late.catch(() => {});
    const { result, isStopped, steps } = await Promise.race([run.ended, late]);
    const story = `${this.#tell(`${signal} at ${target.name}`)}\n${steps.join(' ')}\n${result.stderr}`;
    expect(isStopped, story).toBe(true);
    // What is prepared is brought to its end, and a run that has done all it was to do has not failed.
    const { done } = this.#known;
    await this.look(steps);
    const isWhole = this.#known.done > done && !this.#known.isPrepared;
    expect(result, story).toMatchObject({ signal: null, code: isWhole ? 0 : signal === 'SIGTERM' ? 143 : 130 });
    expect(this.#known.isPrepared, story).toBe(false);
    expect(await this.#staged(), story).toEqual([]);
    this.count(signal, { faults: 1 });
  }

  /** Reads the rest, and judges everything there is. */
  async end(kind: string): Promise<void> {
    const rest = this.#source.rowsByPartition * PARTITIONS.length;
    const first = this.#known.done + Number(this.#known.isPrepared);
    const { result, steps } = await startStepped(this.#args(rest), this.job.folder).ended;
    const story = `${this.#tell('the rest')}\n${result.stderr}`;
    expect(result, story).toMatchObject({ code: 0 });
    const from = this.combination.writeMode === 'Append' ? 0 : first * BATCH;
    const { rowsByPartition } = this.#source;
    const found = await readRows(this.job.folder, this.combination.layout);
    expect(found, story).toEqual({
      rows: (rowsByPartition - from) * 2,
      distinct: (rowsByPartition - from) * 2,
      wrong: 0,
      first: from,
      last: rowsByPartition - 1,
      batches: found.batches,
    });
    expect(await this.job.saved(), story).toEqual({ 0: rowsByPartition, 1: rowsByPartition });
    expect((await this.#staged()).length, story).toBeLessThanOrEqual(this.#unnamed);
    if (this.combination.mode === 'FILE') {
      // Of the run before, what its successor has not removed yet.
      const kinds = (await readdir(this.job.offsets)).map((name) => name.split('.')[2] ?? 'saved offsets');
      expect(new Set(kinds), story).toEqual(new Set(['done', 'saved offsets']));
    }
    expect(steps, story).toContain('commit.stagingRemoved');
    this.count(kind, { rows: found.rows });
    this.#known.done = rowsByPartition / BATCH;
    this.#joined = this.#known.done - first - 1;
    this.#known.isPrepared = false;
  }

  /** Runs when all is read, and finds nothing changed and nothing left. */
  async checkNothingNew(): Promise<void> {
    const { result } = await startStepped(this.#args(2), this.job.folder).ended;
    expect(result, this.#tell('nothing new')).toMatchObject({ code: 0 });
    const next = this.#source.rowsByPartition;
    expect(await this.job.saved(), this.#tell('nothing new')).toEqual({ 0: next, 1: next });
    expect(await this.#staged(), this.#tell('nothing new')).toEqual([]);
  }

  #args(mostRows: number): string[] {
    const { layout, writeMode } = this.combination;
    return this.job.args([
      ...LAYOUT_ARGS[layout].args,
      ...['--write-mode', writeMode, '--max-records', String(mostRows)],
    ]);
  }

  /** Follows the steps of a run that has ended, somehow, and compares what is there with what must be; gives the rows. */
  async look(steps: readonly string[]): Promise<number> {
    const known = this.#known;
    followSteps(known, steps);
    const { mode } = this.combination;
    const isRecorded = steps.includes('open.recorded') || steps.length === 0;
    if (mode === 'STREAM' && steps.includes('open.stagingMade') && !isRecorded) this.#unnamed += 1;
    const rows = await this.#checkRows();
    const manifests = await readdir(join(this.job.out, '_kafkaload', 'manifests', this.job.config)).catch(() => []);
    expect(manifests.length, this.#tell('manifests')).toBe(known.done - this.#joined + Number(known.isListed));
    if (mode === 'FILE' && known.done > 0) {
      const next = (known.done + Number(known.isSaved)) * BATCH;
      expect(await this.job.saved(), this.#tell('saved offsets')).toEqual({ 0: next, 1: next });
    }
    if (steps.includes('open.cleaned')) {
      expect((await this.#staged()).length, this.#tell('staging')).toBeLessThanOrEqual(1 + this.#unnamed);
    }
    return rows;
  }

  async #checkRows(): Promise<number> {
    const { layout } = this.combination;
    const story = this.#tell('rows');
    if (layout === 'exact file' && this.#known.done > 0)
      expect(existsSync(join(this.job.folder, 'out/one.parquet')), story).toBe(true);
    const found = await readRows(this.job.folder, layout);
    checkRows(found, this.#known, this.combination, story);
    return found.rows;
  }

  /** Runs whose staging is there. */
  async #staged(): Promise<string[]> {
    const staging = join(this.job.out, '_kafkaload', 'staging');
    const places = await readdir(staging).catch(() => []);
    return (await Promise.all(places.map((place) => readdir(join(staging, place))))).flat();
  }

  count(kind: string, counts: Parameters<typeof countFaults>[1], step?: string): void {
    const { layout, writeMode, mode } = this.combination;
    countFaults({ kind, layout, mode: `${writeMode} ${mode}`, ...(step !== undefined && { step }) }, counts);
  }

  /** What has happened so far, for the message of a failure. */
  #tell(event: string): string {
    const { layout, writeMode, mode } = this.combination;
    if (this.#story.at(-1) !== event) this.#story.push(event);
    const { done, isPrepared } = this.#known;
    const state = `${done} batches done${isPrepared ? ', one prepared' : ''}`;
    return `${layout} ${writeMode} ${mode}: ${this.#story.slice(-8).join('; ')}; ${state}`;
  }
}

function untilOpen(steps: readonly string[]): readonly string[] {
  return steps.slice(0, steps.indexOf('open.cleaned') + 1);
}
