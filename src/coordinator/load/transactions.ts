/** Chunk after chunk into the target: one transaction each, with the progress that it makes. */
import type { EncodedRecordBatch } from '../../encode/records/recordBatch.ts';
import type { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { passStep } from '../../steps.ts';
import { STOP_WITHIN_MS, untilStopped, withinMs } from '../stopping.ts';
import type { LoadUnit, UnitEnd } from './chunks.ts';
import type { Lanes, Taken } from './lanes.ts';

export interface LoadCounts {
  rows: number;
  /** Of record batches, as written. */
  bytes: number;
  transactions: number;
}

export interface TransactionsOptions<Unit extends LoadUnit> {
  readonly lanes: Lanes<Unit>;
  readonly producer: TransactionalProducer;
  readonly chunkRecords: number;
  /** A record of progress is written at least so often. */
  readonly heartbeatMs: number;
  /** Takes note of what is about to be committed; gives the records of progress. Called once for each transaction. */
  readonly progress: (taken: readonly Taken<Unit>[]) => Promise<EncodedRecordBatch[]>;
  /** Called for each end of a unit, before `progress`; what it throws ends the load. */
  readonly onEnd?: (unit: Unit, end: UnitEnd) => Promise<void>;
  readonly onCommitted: (taken: readonly Taken<Unit>[]) => void;
  readonly signal: AbortSignal;
}

/**
 * Writes all chunks; returns when the last one is committed.
 *
 * @throws OffloadError whatever workers or the target met; then the open transaction is aborted. OUTCOME_UNKNOWN: the
 *   next run reads how far it is. The signal's reason.
 */
export async function writeChunks<Unit extends LoadUnit>(options: TransactionsOptions<Unit>): Promise<LoadCounts> {
  try {
    return await writeAll(options);
  } finally {
    await options.lanes.stop();
  }
}

async function writeAll<Unit extends LoadUnit>(options: TransactionsOptions<Unit>): Promise<LoadCounts> {
  const { lanes, producer, chunkRecords, heartbeatMs, progress, onEnd, onCommitted, signal } = options;
  const counts: LoadCounts = { rows: 0, bytes: 0, transactions: 0 };
  for (;;) {
    const taken = await lanes.take(chunkRecords, heartbeatMs);
    if (taken === null) return counts;
    for (const { unit, end } of taken) if (end) await onEnd?.(unit, end);
    const chunks = taken.flatMap(({ chunk }) => chunk ?? []);
    const batches = chunks.flatMap((chunk) => chunk.batches);
    signal.throwIfAborted();
    await transact(producer, batches, await progress(taken), signal);
    lanes.committed();
    for (const { rows, bytes } of chunks) {
      counts.rows += rows;
      counts.bytes += bytes;
    }
    if (batches.length > 0) counts.transactions += 1;
    onCommitted(taken);
  }
}

/**
 * One transaction. Progress is sent when all else is acknowledged: until the commit nobody can read what follows it in
 * its topic, which others keep their offsets in.
 */
export async function transact(
  producer: TransactionalProducer,
  batches: readonly EncodedRecordBatch[],
  progress: readonly EncodedRecordBatch[],
  signal: AbortSignal,
): Promise<void> {
  await producer.begin();
  await producer.send(batches);
  if (batches.length > 0) passStep('load.chunksSent');
  if (progress.length > 0) {
    await producer.send(progress);
    passStep('load.progressSent');
  }
  signal.throwIfAborted();
  // A broker that does not answer must not keep a run that was told to stop: the next one looks what became of it.
  await untilStopped(producer.commit(), signal);
}

/** Closes a producer, which aborts what is open; gives up after a while. */
export function closeProducer(producer: TransactionalProducer): Promise<void> {
  return withinMs(producer.close(), STOP_WITHIN_MS);
}
