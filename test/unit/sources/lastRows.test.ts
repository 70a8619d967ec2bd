import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TopicSource } from '../../../src/config/job.ts';
import type { Cluster } from '../../../src/kafka/cluster.ts';
import type { FetchRequest, FetchResponse } from '../../../src/kafka/fetch.ts';
import { findLastMessages, readRows } from '../../../src/sources/lastRows.ts';
import { writeBatch, writeMarker } from '../decode/batchWriter.ts';

/** What a batch of the log holds: offsets that compaction left, and whether their transaction was aborted. */
interface LoggedBatch {
  readonly baseOffset: number;
  readonly nextOffset: number;
  readonly bytes: Buffer;
  readonly abortedFrom: number | null;
}

const PRODUCER = 7n;
const SETTINGS = {
  kafka: {
    fetch: {
      isolationLevel: 'read_committed',
      maxBytes: 1_000_000,
      maxWaitMs: 0,
      checkCrcs: true,
      maxBatchBytes: 1_000_000,
    },
  },
  failOnDataLoss: false,
} as unknown as TopicSource;

/** Compaction with the cleaner takes minutes on a broker: this one answers as a broker does whose log it has cleaned. */
function clusterOf(log: readonly LoggedBatch[], end: number): Cluster {
  const answer = ({ fetchOffset, maxBytes }: FetchRequest): FetchResponse => {
    const sent: LoggedBatch[] = [];
    let bytes = 0;
    for (const batch of log) {
      if (batch.nextOffset <= fetchOffset || (sent.length > 0 && bytes + batch.bytes.length > maxBytes)) continue;
      sent.push(batch);
      bytes += batch.bytes.length;
    }
    const aborted = [...new Set(sent.flatMap(({ abortedFrom }) => (abortedFrom === null ? [] : [abortedFrom])))];
    return {
      topic: null,
      partition: -1,
      throttleMs: 0,
      errorCode: 0,
      highWatermark: end,
      lastStableOffset: end,
      logStartOffset: 0,
      aborted: aborted.map((firstOffset) => ({ producerId: Number(PRODUCER), firstOffset })),
      preferredReadReplica: -1,
      records: Buffer.concat(sent.map((batch) => batch.bytes)),
    };
  };
  const connection = {
    address: 'a:1',
    request: async (_: unknown, request: FetchRequest) => answer(request),
    recycle: () => {},
  };
  return {
    settings: { deadlineMs: 60_000, retryBackoffMs: 100 },
    leader: async () => ({ connection, leaderEpoch: 0 }),
    retry: (attempt: () => Promise<unknown>) => attempt(),
    forget: () => {},
  } as unknown as Cluster;
}

type Step = { readonly kind: 'rows' | 'aborted' | 'gap'; readonly kept: readonly boolean[] };

async function logOf(steps: readonly Step[]): Promise<{ log: LoggedBatch[]; end: number; rows: number[] }> {
  const log: LoggedBatch[] = [];
  const rows: number[] = [];
  let offset = 0;
  for (const { kind, kept } of steps) {
    const baseOffset = offset;
    const nextOffset = baseOffset + kept.length;
    offset = nextOffset;
    if (kind === 'gap') continue;
    const deltas = kept.flatMap((isKept, delta) => (isKept ? [delta] : []));
    const records = deltas.map((offsetDelta) => ({
      key: null,
      value: Buffer.from(`${baseOffset + offsetDelta}`),
      offsetDelta,
    }));
    const isAborted = kind === 'aborted';
    const head = { baseOffset, lastOffsetDelta: kept.length - 1, producerId: isAborted ? PRODUCER : -1n };
    const bytes = await writeBatch(records, { ...head, transactional: isAborted });
    log.push({ baseOffset, nextOffset, bytes, abortedFrom: isAborted ? baseOffset : null });
    if (isAborted) {
      const marker = await writeMarker('abort', nextOffset, PRODUCER);
      offset = nextOffset + 1;
      log.push({ baseOffset: nextOffset, nextOffset: offset, bytes: marker, abortedFrom: null });
    } else {
      rows.push(...deltas.map((delta) => baseOffset + delta));
    }
  }
  return { log, end: offset, rows };
}

const steps = fc.array(
  fc.record({
    kind: fc.constantFrom('rows', 'aborted', 'gap'),
    kept: fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
  }),
  { maxLength: 12 },
);

describe('the last messages of a range', () => {
  it('are found behind aborted records, markers and gaps, and read, as many as are wanted or there are', async () => {
    const check = fc.asyncProperty(steps, fc.integer({ min: 1, max: 30 }), async (layout, count) => {
      const { log, end, rows } = await logOf(layout as Step[]);
      const cluster = clusterOf(log, end);
      const range = { topic: 't', partition: 0, startOffset: 0, endOffset: end };
      const tail = await findLastMessages(cluster, range, SETTINGS, count);
      const expected = rows.slice(-count);
      if (tail === null) {
        expect(expected).toEqual([]);
        return;
      }
      expect(tail).toEqual({ ...range, startOffset: expected[0], messages: expected.length });
      const fields = [{ name: 'o', column: 'offset', type: 'LONG' }];
      const found: number[] = [];
      for await (const { batch, place } of readRows(
        cluster,
        tail,
        { ...SETTINGS, fields, onBadRecord: { kind: 'fail' } } as unknown as TopicSource,
        () => {},
      )) {
        found.push(...[...(batch.getChild('o') ?? [])].map(Number));
        expect(place.rowName(0)).toBe(`t/0 at offset ${expected[0]}`);
      }
      expect(found).toEqual(expected);
    });
    await fc.assert(check, { numRuns: 200 });
  });
});
