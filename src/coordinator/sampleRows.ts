/** The first rows of a source, for user code to be tried on. */
import { RecordBatch as ArrowBatch, makeData, type RecordBatch, Struct } from 'apache-arrow';
import type { FileSource, TopicSource } from '../config/job.ts';
import type { Cluster } from '../kafka/cluster.ts';
import { FILE_READER_BYTES } from '../plan/memory.ts';
import type { FileSchema } from '../sources/files/fileReader.ts';
import type { OffsetRange } from '../tasks.ts';
import { takeRows } from '../transform/arrow/take.ts';
import { messagePlace } from '../transform/places.ts';
import type { Sample } from '../transform/settle.ts';

/** Of each partition or file, and of how many of them. */
const SAMPLE_ROWS = 1000;
const SAMPLE_PLACES = 20;
const BATCH_BYTES = 4 * 1024 ** 2;

/** The first rows of each range, as far as they come in one batch; ranges without rows give none. */
export async function sampleTopics(
  cluster: Cluster,
  ranges: readonly OffsetRange[],
  source: TopicSource,
): Promise<Sample[]> {
  const { readFirstRows } = await import('../sources/firstRows.ts');
  const samples: Sample[] = [];
  for (const range of ranges.slice(0, SAMPLE_PLACES)) {
    for await (const { batch, place } of readFirstRows(cluster, [range], source)) {
      if (batch.numRows === 0) continue;
      const kept = keepRows(batch);
      const { origin } = place;
      // The batch and its offsets are gone with the next one.
      const offsets = Array.from({ length: kept.numRows }, (_, row) =>
        'offsetAt' in origin ? origin.offsetAt(row) : 0,
      );
      samples.push({ batch: kept, place: messagePlace(range.topic, range.partition, (row) => offsets[row] ?? 0) });
      break;
    }
  }
  return samples;
}

/** The first rows of each file. */
export async function sampleFiles(
  { input }: FileSource,
  files: readonly string[],
  schema: FileSchema,
  signal: AbortSignal,
): Promise<Sample[]> {
  const [{ openFile }, { fileRowPlace }] = await Promise.all([
    import('../sources/files/fileReader.ts'),
    import('../transform/places.ts'),
  ]);
  const samples: Sample[] = [];
  const limits = { batchRows: SAMPLE_ROWS, batchBytes: BATCH_BYTES, memoryLimitBytes: FILE_READER_BYTES };
  for (const file of files.slice(0, SAMPLE_PLACES)) {
    for await (const { batch, firstRow } of openFile(input, file, { startRow: 0, ...limits, schema, signal })) {
      if (batch.numRows === 0) continue;
      samples.push({ batch: keepRows(batch), place: fileRowPlace(file, firstRow) });
      break;
    }
  }
  return samples;
}

/** Memory of its own. */
function keepRows(batch: RecordBatch): RecordBatch {
  const rows = Int32Array.from({ length: Math.min(batch.numRows, SAMPLE_ROWS) }, (_, row) => row);
  const children = batch.data.children.map((data) => takeRows(data, rows));
  const type = new Struct(batch.schema.fields);
  return new ArrowBatch(batch.schema, makeData({ type, length: rows.length, nullCount: 0, children }));
}
