/**
 * Which batches are under way together. A partition is in one lane, and a lane has one round of requests under way, with
 * one batch of a partition in it: batches of a partition keep their order, and a lost answer leaves one to be repeated.
 */
import type { EncodedRecordBatch } from '../encode/records/recordBatch.ts';
import { placeOf } from './transactionProtocol.ts';

/** Requests under way to a broker; one is written to its log while the next one travels. */
const LANES = 3;
/** Bytes of one request; a single larger batch is sent alone. Brokers take 100 MiB (`socket.request.max.bytes`). */
const MAX_REQUEST_BYTES = 4 * 1024 * 1024;

/** Batches by partition, and partitions by lane: each lane gets about as many bytes. */
export function shareOut(batches: readonly EncodedRecordBatch[]): EncodedRecordBatch[][][] {
  const partitions = new Map<string, { batches: EncodedRecordBatch[]; bytes: number }>();
  for (const batch of batches) {
    const partition = partitions.get(placeOf(batch)) ?? { batches: [], bytes: 0 };
    partition.batches.push(batch);
    partition.bytes += batch.bytes.length;
    partitions.set(placeOf(batch), partition);
  }
  const lanes = Array.from({ length: LANES }, () => ({ partitions: [] as EncodedRecordBatch[][], bytes: 0 }));
  for (const partition of [...partitions.values()].sort((a, b) => b.bytes - a.bytes)) {
    const lane = lanes.reduce((least, candidate) => (candidate.bytes < least.bytes ? candidate : least));
    lane.partitions.push(partition.batches);
    lane.bytes += partition.bytes;
  }
  return lanes.map((lane) => lane.partitions);
}

/** Takes the next batch of as many partitions as a request holds; those it took from go to the end of the lane. */
export function takeRound(lane: EncodedRecordBatch[][]): EncodedRecordBatch[] {
  const round: EncodedRecordBatch[] = [];
  let bytes = 0;
  for (let turn = lane.length; turn > 0; turn--) {
    const [batches] = lane;
    const next = batches?.[0];
    if (batches === undefined || next === undefined) break;
    if (round.length > 0 && bytes + next.bytes.length > MAX_REQUEST_BYTES) break;
    round.push(next);
    bytes += next.bytes.length;
    lane.shift();
    if (batches.length > 1) lane.push(batches.slice(1));
  }
  return round;
}
