import type { Job, TopicSelection } from '../../config/job.ts';
import { maskSecrets } from '../../config/maskSecrets.ts';

/** What the page says of a job. */
export interface ShownJob {
  /** From where to where, in one line. */
  readonly route: string;
  /** All settings as they were resolved, without secrets. */
  readonly settings: unknown;
}

export function shownJob(job: Job): ShownJob {
  return {
    route: `${String(maskSecrets(sourceOf(job)))} \u2192 ${String(maskSecrets(sinkOf(job)))}`,
    settings: maskSecrets(job),
  };
}

function sourceOf({ source }: Job): string {
  return source.kind === 'topic' ? selectionOf(source.selection) : source.paths.join(', ');
}

function selectionOf(selection: TopicSelection): string {
  switch (selection.kind) {
    case 'topics':
      return selection.topics.join(', ');
    case 'pattern':
      return `topics that match ${selection.pattern}`;
    case 'assign':
      return Object.entries(selection.partitions)
        .flatMap(([topic, partitions]) => partitions.map((partition) => `${topic}/${partition}`))
        .join(', ');
  }
}

function sinkOf({ sink }: Job): string {
  switch (sink.kind) {
    case 'files':
      return sink.target.path;
    case 'topic':
      return `topic ${sink.topic}`;
    case 'console':
      return 'console';
    case 'table': {
      const { database, schema, table } = sink;
      return `table ${schema === null ? table : `${schema}.${table}`} (${database.kind === 'duckdb' ? database.path : database.kind})`;
    }
  }
}
