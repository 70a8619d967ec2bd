/** Jobs by where their rows come from and go to. */
import type {
  ConsoleSink,
  FileSink,
  FileSource,
  Job,
  StreamSettings,
  TableSink,
  TopicSink,
  TopicSource,
} from '../config/job.ts';

/** Topics -> files. */
export type OffloadJob = Job & { readonly source: TopicSource; readonly sink: FileSink };

export function isOffload(job: Job): job is OffloadJob {
  return job.source.kind === 'topic' && job.sink.kind === 'files';
}

/** Files -> files. */
export type ConvertJob = Job & { readonly source: FileSource; readonly sink: FileSink };

export function isConvert(job: Job): job is ConvertJob {
  return job.source.kind === 'files' && job.sink.kind === 'files';
}

/** Topics -> topic. */
export type TopicToTopicJob = Job & { readonly source: TopicSource; readonly sink: TopicSink };

export function isTopicToTopic(job: Job): job is TopicToTopicJob {
  return job.source.kind === 'topic' && job.sink.kind === 'topic';
}

/** Files -> topic. */
export type FileLoadJob = Job & { readonly source: FileSource; readonly sink: TopicSink };

export function isFileLoad(job: Job): job is FileLoadJob {
  return job.source.kind === 'files' && job.sink.kind === 'topic';
}

/** Anything -> console. */
export type ShowJob = Job & { readonly sink: ConsoleSink };

export function isShow(job: Job): job is ShowJob {
  return job.sink.kind === 'console';
}

/** Topics -> anywhere, for as long as it runs. */
export type StreamJob = Job & { readonly source: TopicSource; readonly stream: StreamSettings };

/** Topics -> a table of a database. */
export type TableJob = StreamJob & { readonly sink: TableSink };

export function isTableStream(job: StreamJob): job is TableJob {
  return job.sink.kind === 'table';
}

export function isStream(job: Job): job is StreamJob {
  return job.stream !== null && job.source.kind === 'topic';
}

/** Files -> topic, those that come for as long as it runs. */
export type FileStreamJob = FileLoadJob & { readonly stream: StreamSettings };

export function isFileStream(job: Job): job is FileStreamJob {
  return job.stream !== null && isFileLoad(job);
}
