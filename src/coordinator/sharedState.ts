import { OffloadError } from '../errors.ts';

/**
 * The few numbers that workers and coordinator share while a run goes on: how far each worker is, and whether to stop.
 * Each worker writes its own counters only, so none of them needs a lock.
 */
export interface SharedState {
  /** Int32: [0] not 0 = stop, [1] workers that have joined. */
  readonly control: SharedArrayBuffer;
  /** Float64 for each worker: rows, message bytes, offsets moved past. */
  readonly counters: SharedArrayBuffer;
}

const STOP = 0;
const JOINED = 1;
const COUNTERS = 3;

export function createSharedState(workers: number): SharedState {
  return {
    control: new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT),
    counters: new SharedArrayBuffer(workers * COUNTERS * Float64Array.BYTES_PER_ELEMENT),
  };
}

/** Asks every worker to end its task soon. */
export function requestStop(shared: SharedState): void {
  Atomics.store(new Int32Array(shared.control), STOP, 1);
}

/** Rows, message bytes and offsets so far, of one worker. */
export function readCounters(shared: SharedState, worker: number): { rows: number; bytes: number; offsets: number } {
  const counters = new Float64Array(shared.counters);
  const [rows = 0, bytes = 0, offsets = 0] = counters.subarray(worker * COUNTERS, (worker + 1) * COUNTERS);
  return { rows, bytes, offsets };
}

/** Called once in each worker thread: takes the next free number. */
export function joinWorker(shared: SharedState) {
  const control = new Int32Array(shared.control);
  const worker = Atomics.add(control, JOINED, 1);
  const counters = new Float64Array(shared.counters, worker * COUNTERS * Float64Array.BYTES_PER_ELEMENT, COUNTERS);
  return {
    /** From 0. */
    worker,
    isStopped: (): boolean => Atomics.load(control, STOP) !== 0,
    advance(rows: number, bytes: number, offsets: number): void {
      counters[0] = (counters[0] ?? 0) + rows;
      counters[1] = (counters[1] ?? 0) + bytes;
      counters[2] = (counters[2] ?? 0) + offsets;
    },
  };
}

export type WorkerCounters = ReturnType<typeof joinWorker>;

/** @throws OffloadError INTERNAL if the coordinator has asked for the end of tasks. */
export function checkStopped({ isStopped }: WorkerCounters): void {
  if (isStopped()) throw new OffloadError('INTERNAL', 'the run is stopping');
}
