/** Jobs by where their rows come from and go to, and what several of them ask of one. */
import type { FileSink, Job, TopicSelection, TopicSource } from '../config/job.ts';
import { OffloadError } from '../errors.ts';

/** Topics -> files. */
export type OffloadJob = Job & { readonly source: TopicSource; readonly sink: FileSink };

export function isOffload(job: Job): job is OffloadJob {
  return job.source.kind === 'topic' && job.sink.kind === 'files';
}

/** The one topic of a selection. */
export function soleTopic(selection: TopicSelection): string {
  const [topic] = selection.kind === 'topics' ? selection.topics : [];
  if (topic === undefined) throw new OffloadError('INTERNAL', 'the job reads no single topic');
  return topic;
}
