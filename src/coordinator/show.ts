/** Anything -> console: the first rows, read in this thread. Opens no run, saves nothing, reads little more than it shows. */
import { readSavedState } from '../commit/session.ts';
import type { FileSource, TopicSource } from '../config/job.ts';
import { namedTopics } from '../config/topicSelection.ts';
import { Cluster } from '../kafka/cluster.ts';
import { FILE_READER_BYTES } from '../plan/memory.ts';
import { formatTable, TableCollector } from '../sinks/console.ts';
import { fileRowPlace } from '../transform/places.ts';
import { addBadRows, type BadRecordCounts, NO_BAD_RECORDS, reportBadRecords } from './badRecords/counts.ts';
import type { ShowJob } from './jobs.ts';
import { lookUpRanges } from './lookup.ts';
import { emptyReport, type OffloadReport } from './report.ts';
import { FirstRowsTransform } from './settleJob.ts';
import { findTopics, plainTopicOf } from './topics.ts';
import type { RunUi } from './ui.ts';

const BATCH_BYTES = 4 * 1024 ** 2;
/** Rows read at a time where a transform may leave some out. */
const FILTERED_ROWS = 2048;

/**
 * Begins where a run to files would begin now, whether one is under way or not.
 *
 * @returns The report with its table; `rows` is how many are in it.
 * @throws OffloadError as a run to files would, but for what has to do with writing.
 */
export async function show(job: ShowJob, ui: RunUi, signal: AbortSignal): Promise<OffloadReport> {
  const startedAtMs = performance.now();
  const { source, sink, config } = job;
  const collector = new TableCollector(sink.numRows);
  const topics = source.kind === 'topic' ? namedTopics(source.selection) : [];
  const topic = source.kind === 'topic' ? plainTopicOf(source.selection) : null;
  const report = emptyReport({ config, topic, topics, committed: false });
  if (job.dryRun) {
    const what = source.kind === 'topic' ? `topic ${topics.join(', ')}` : source.paths.join(', ');
    const plan = `plan: the first ${sink.numRows} rows of ${what} to the console\nnothing was read, written or committed`;
    return { ...report, plan };
  }
  const sourceFiles = source.kind === 'files' ? await showFiles({ ...job, source }, collector, signal) : null;
  const bad = source.kind === 'topic' ? await showTopics({ ...job, source }, collector, signal) : NO_BAD_RECORDS;
  const { table } = collector;
  const drawing = await formatTable(table, sink.truncate);
  const seconds = (performance.now() - startedAtMs) / 1000;
  // A look writes no dead letters.
  const left = source.kind === 'topic' ? reportBadRecords([bad], source.onBadRecord, ui, false) : {};
  const shown = { ...report, ...left, rows: table.rows.length, seconds, table: { ...table, drawing } };
  return sourceFiles ? { ...shown, sourceFiles } : shown;
}

async function showTopics(
  job: ShowJob & { readonly source: TopicSource },
  collector: TableCollector,
  signal: AbortSignal,
): Promise<BadRecordCounts> {
  const { source } = job;
  const rows = new FirstRowsTransform(job.transform, source.onBadRecord.kind !== 'fail');
  let counts = NO_BAD_RECORDS;
  const cluster = new Cluster(source.kafka.connection, signal);
  const offsetsCluster = job.offsets.kafka ? new Cluster(job.offsets.kafka.connection, signal) : cluster;
  try {
    const selected = await findTopics(cluster, source.selection, job.offsets);
    const saved = await readSavedState({
      config: job.config,
      topics: selected.topics.map(({ topic }) => topic),
      plainTopic: selected.plainTopic,
      offsets: job.offsets,
      reader: async (topic, options) => {
        const { readTopicCommitted } = await import('../kafka/topicReader.ts');
        return readTopicCommitted(offsetsCluster, topic, options);
      },
    });
    const { plan } = await lookUpRanges(cluster, selected, job, saved);
    const { readFirstRows } = await import('../sources/firstRows.ts');
    for await (const { bad, ...read } of readFirstRows(cluster, plan.ranges, source)) {
      const applied = await rows.apply(read);
      if (applied.batch) collector.add(applied.batch);
      counts = addBadRows(addBadRows(counts, bad), applied.bad);
      if (collector.missing === 0) break;
    }
    return counts;
  } finally {
    await rows.close();
    cluster.close();
    if (offsetsCluster !== cluster) offsetsCluster.close();
  }
}

/** @returns The files of the source, read or not. */
async function showFiles(
  { source, transform }: ShowJob & { readonly source: FileSource },
  collector: TableCollector,
  signal: AbortSignal,
): Promise<string[]> {
  const [{ listSourceFiles }, { openFile }] = await Promise.all([
    import('../sources/files/listFiles.ts'),
    import('../sources/files/fileReader.ts'),
  ]);
  const { paths, input } = source;
  const filter = 'pathGlobFilter' in input ? input.pathGlobFilter : null;
  const files = (await listSourceFiles(paths, '/', filter)).map(({ path }) => path);
  for (const path of files) {
    const options = {
      startRow: 0,
      batchRows: transform === null ? collector.missing : FILTERED_ROWS,
      batchBytes: BATCH_BYTES,
      memoryLimitBytes: FILE_READER_BYTES,
    };
    // Columns may differ from file to file.
    const rows = new FirstRowsTransform(transform, false);
    try {
      for await (const { batch, firstRow } of openFile(input, path, { ...options, signal })) {
        const applied = await rows.apply({ batch, place: fileRowPlace(path, firstRow) });
        if (applied.batch) collector.add(applied.batch);
        if (collector.missing === 0) return files;
      }
    } finally {
      await rows.close();
    }
  }
  return files;
}
