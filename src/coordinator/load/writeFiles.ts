/** Writes the files of a load: chunk after chunk, in their order, each with its progress in one transaction. */
import { describeOwner } from '../../commit/owner.ts';
import type { TransactionalProducer } from '../../kafka/transactionalProducer.ts';
import { fileLoadThreads, planLoadMemory } from '../../plan/loadMemory.ts';
import { type FileSchema, readSchema } from '../../sources/files/fileReader.ts';
import { passStep } from '../../steps.ts';
import { transformMemory } from '../../transform/memory.ts';
import type { FileLoadJob } from '../jobs.ts';
import { transformPlan } from '../rowTransform.ts';
import { settleFileJob } from '../settleJob.ts';
import type { WorkerThreads } from '../threads.ts';
import type { FileUnit, LoadSettings } from './chunks.ts';
import type { FileChoice } from './fileChoice.ts';
import { type FilePosition, type FileProgress, FileProgressFormat } from './fileProgress.ts';
import { fileUnits } from './fileUnits.ts';
import { checkUnchanged, type FoundFiles } from './foundFiles.ts';
import { Lanes } from './lanes.ts';
import type { LoadContext } from './loadContext.ts';
import type { LoadTask } from './loadTask.ts';
import { type ProgressTopic, type ProgressWrite, progressKey } from './progressTopic.ts';
import { type LoadCounts, transact, writeChunks } from './transactions.ts';

export interface FileWriting {
  readonly run: string;
  readonly producer: TransactionalProducer;
  readonly topic: ProgressTopic;
  /** Of the target topic. */
  readonly partitions: number;
  readonly threads: WorkerThreads<LoadTask, void>;
  readonly files: FoundFiles;
}

/** How a load ends; left out: as a batch does. */
export interface LoadEnding {
  /** `running`: more is to come. */
  readonly state: FileProgress['state'];
  /** Written with it. */
  readonly writes: readonly ProgressWrite[];
  /** Of settings that differ from those of the load before, in the same threads. */
  readonly version: (schema: FileSchema) => number;
}

export interface WrittenFiles {
  readonly counts: LoadCounts;
  /** Of all files, for the records of progress that follow. */
  readonly progress: (state: FileProgress['state']) => ProgressWrite;
}

/** Writes the files of a choice, from its position on, and that they are done. */
export async function writeFiles(
  context: LoadContext,
  opened: FileWriting,
  choice: FileChoice,
  ending: LoadEnding = { state: 'done', writes: [], version: () => 0 },
): Promise<WrittenFiles> {
  const { job, ui, signal } = context;
  const { run, producer, topic, partitions, threads, files } = opened;
  const { sink, source, offsets } = job;
  const format = new FileProgressFormat(choice.files);
  const owner = await describeOwner(run, '');
  const startedAtMs = choice.startedAtMs ?? Date.now();
  let position: FilePosition = choice.position;
  let rows = choice.rows;
  const key = progressKey(sink.config);
  const progress = (state: FileProgress['state']): ProgressWrite => {
    const endedAtMs = state === 'done' ? Date.now() : null;
    return { key, value: format.format({ state, run, owner, position, rows, startedAtMs, endedAtMs }) };
  };
  // Others see from now on who is at work; a list that is too long is refused before any row is written.
  await transact(producer, [], await topic.encode([progress('running')]), signal);
  passStep('load.announced');
  const paths = choice.files.flatMap(({ path, loadedBy }) => (loadedBy === null ? [path] : []));
  const bytes = files.found.reduce((sum, file) => sum + (paths.includes(file.path) ? file.bytes : 0), 0);
  ui.progress.start(bytes, bytes);
  const memory = planLoadMemory({
    source: 'files',
    maxMemoryBytes: job.maxMemoryBytes,
    workers: threadsFor(job),
    fetchBytes: sink.kafka.fetch.maxBytes,
    transform: transformMemory(job.transform),
  });
  const schema = await readSchema(source.input, paths, { memoryLimitBytes: memory.readerBytes, signal });
  const { transform } = await settleFileJob(job, paths, schema, signal);
  const settings: LoadSettings = {
    version: ending.version(schema),
    source: {
      kind: 'files',
      input: source.input,
      schema,
      memoryLimitBytes: memory.readerBytes,
    },
    transform: transformPlan(transform),
    target: {
      connection: sink.kafka.connection,
      topic: sink.topic,
      partitions,
      readTopics: [],
      compression: sink.compression,
      headers: sink.headers,
    },
    chunkRows: sink.chunkRecords,
    deadLetters: null,
    chunkBytes: memory.chunkBytes,
  };
  const units = fileUnits({
    files: choice.files,
    position: choice.position,
    format: source.input.format,
    unitRows: sink.chunkRecords,
  });
  const lanes = new Lanes<FileUnit>({ threads, units, settings, isOrdered: true, signal });
  const counts = await writeChunks({
    lanes,
    producer,
    chunkRecords: sink.chunkRecords,
    heartbeatMs: offsets.heartbeatMs,
    onEnd: async (unit) => {
      if (unit.isLast) await checkUnchanged(files, unit.path);
    },
    progress: (taken) => {
      for (const { unit, chunk } of taken) {
        if (chunk) {
          position = { file: unit.file, row: chunk.next };
          rows += chunk.rows;
        } else if (unit.isLast) position = { file: unit.file + 1, row: 0 };
      }
      return topic.encode([progress('running')]);
    },
    onCommitted: (taken) => {
      for (const { unit, chunk, end } of taken) {
        const offsets = end && unit.isLast ? files.bytesOf(unit.path) : 0;
        ui.progress.advance({ rows: chunk?.rows ?? 0, bytes: chunk?.bytes ?? 0, offsets });
        if (end && end.dropped > 0) ui.log.warn(`${end.dropped} bad rows of ${unit.path} were left out`);
      }
    },
    signal,
  });
  passStep('load.allWritten');
  await transact(producer, [], await topic.encode([progress(ending.state), ...ending.writes]), signal);
  passStep('load.done');
  return { counts, progress };
}

export function threadsFor({ workers, maxMemoryBytes, transform }: FileLoadJob): number {
  return fileLoadThreads({ workers, maxMemoryBytes, transform: transformMemory(transform) });
}
