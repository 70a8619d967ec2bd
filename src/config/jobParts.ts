import { isAbsolute, sep } from 'node:path';
import { OffloadError } from '../errors.ts';
import type { TransformSettings } from '../transform/batchTransform.ts';
import { resolveFileTransform } from './columns.ts';
import type { Connection } from './connections.ts';
import { resolveConsole } from './consoleSink.ts';
import { resolveFileSource } from './fileSource.ts';
import type { ConsoleSink, FileSink, FileSource, TableSink, TopicSink, TopicSource } from './job.ts';
import { connectionOf, entryUnder, fileOptions, type JobContext, topLayer } from './jobContext.ts';
import type { Properties } from './properties.ts';
import { GROUP_PROPERTIES } from './streamGroup.ts';
import { partitionColumns, STREAM_WRITER_OPTIONS } from './streamOptions.ts';
import { resolveTableSink } from './tableSink.ts';
import { resolveTarget } from './target.ts';
import { type PathValues, resolvePath } from './templates.ts';
import { findEntry, isSameCluster, readProperties, topicNameOf } from './topicEntry.ts';
import { compileTopicPattern } from './topicPattern.ts';
import { namedTopics } from './topicSelection.ts';
import { resolveTopicSink } from './topicSink.ts';
import { resolveTopicSource } from './topicSource.ts';

export type JobSource = TopicSource | FileSource;
/** A sink before it is known where the progress of a load is kept. */
export type JobSink = FileSink | ConsoleSink | TableSink | Omit<TopicSink, 'progress' | 'reload'>;

interface Part<Value> {
  readonly part: Value;
  readonly notes: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Where the rows of a job come from.
 *
 * @throws OffloadError USAGE, CONFIG_INVALID, CONFIG_UNKNOWN, FIELD_INVALID
 */
export async function resolveSource(
  context: JobContext,
): Promise<Part<JobSource> & { readonly transform: TransformSettings | null; readonly properties: Properties | null }> {
  const { options, environment, loaded, named, route, reader } = context;
  if (route.source.kind === 'files') {
    const connection = connectionOf(context, 'source', 'FS');
    const { path, format } = route.source;
    const part = resolveFileSource(
      { ...placeOf(path, '--path', connection, context), format, options: fileOptions(context, 'source') },
      pathValues(context, null),
      environment,
    );
    const place = { config: options.writeConfig ?? 'files', cwd: environment.cwd };
    const transform = await resolveFileTransform(options.transform, place);
    return { part, transform, properties: null, notes: [], warnings: [] };
  }
  const under = entryUnder(context, reader, named);
  const properties = readProperties({
    loaded,
    named: under,
    connection: connectionOf(context, 'source', 'KAFKA'),
    more: topLayer(reader),
  });
  const { source, transform, notes, warnings } = await resolveTopicSource(properties, named, options, {
    cwd: environment.cwd,
    deserializers: loaded?.deserializers ?? {},
    topicName: under && topicNameOf(under),
    ...(named === null && { serverWhere: '--options' }),
    forTopic: route.sink.kind === 'topic',
    alsoRead: options.stream ? GROUP_PROPERTIES : [],
  });
  const commit = named !== null && route.sink.kind !== 'console' && options.noCommit !== true;
  return { part: { ...source, commit }, transform, properties, notes, warnings };
}

/**
 * Where they go.
 *
 * @throws OffloadError USAGE, CONFIG_INVALID, CONFIG_UNKNOWN, TARGET_UNSUITABLE
 */
export async function resolveSink(context: JobContext, source: JobSource): Promise<Part<JobSink>> {
  const { options, environment, loaded, route, writer } = context;
  const { sink } = route;
  if (sink.kind === 'console') {
    return { part: resolveConsole(fileOptions(context, 'sink')), notes: [], warnings: [] };
  }
  if (sink.kind === 'files') {
    const connection = connectionOf(context, 'sink', 'FS');
    const values = pathValues(context, source);
    checkSameTarget(context, values);
    const byConnection = options.writeMode === undefined && connection?.mode;
    const target = await resolveTarget(
      {
        ...placeOf(sink.path, sink.where, connection, context),
        format: sink.format,
        mode: byConnection || options.writeMode,
        modeWhere: byConnection ? `connections.${connection.name}.mode` : '--write-mode',
        coalesce: options.writeCoalesce,
        partitionBy: partitionColumns(options),
        options: formatOptions(context),
      },
      values,
      environment,
    );
    checkApart(source, target.path, sink.where);
    return { part: { kind: 'files', target }, notes: [], warnings: [] };
  }
  if (sink.kind === 'table') {
    const connection = route.connectionSide === 'sink' ? context.connection : null;
    const table = { name: sink.name, connection, options: formatOptions(context) };
    const part = await resolveTableSink(table, pathValues(context, source), environment);
    return { part, notes: [], warnings: [] };
  }
  const { writeConfig } = options;
  const own = writeConfig === undefined || loaded === null ? null : findEntry(writeConfig, '--write-config', loaded);
  const under = entryUnder(context, writer, own);
  const connection = connectionOf(context, 'sink', 'KAFKA');
  const properties = readProperties({ loaded, named: under, connection, more: topLayer(writer) });
  const resolved = await resolveTopicSink(properties, under, {
    cwd: environment.cwd,
    ...(under === null && { serverWhere: '--write-options' }),
  });
  checkNoLoop(source, resolved.sink);
  return { part: resolved.sink, notes: resolved.notes, warnings: [] };
}

/** Those of the writer without the stream's own. */
function formatOptions(context: JobContext): Record<string, string> {
  const all = Object.entries(fileOptions(context, 'sink'));
  if (!context.options.stream) return Object.fromEntries(all);
  return Object.fromEntries(all.filter(([key]) => !STREAM_WRITER_OPTIONS.some((own) => own === key)));
}

/** A path as it was written; relative ones are taken from the base path of the connection, if there is one. */
function placeOf(
  path: string | null,
  where: string,
  connection: Extract<Connection, { type: 'FS' }> | null,
  { environment }: JobContext,
): { path: string; where: string; base: string } {
  const { cwd } = environment;
  const baseWhere = `connections.${connection?.name}.options.path`;
  if (path === null) return { path: connection?.basePath ?? '', where: baseWhere, base: cwd };
  const base = connection?.basePath ? resolvePath(connection.basePath, baseWhere, {}, environment) : cwd;
  return { path, where, base: isAbsolute(path) ? cwd : base };
}

/** `{{config}}` and `{{topic}}` are those of the topic that is read, else of the one that is written. */
function pathValues({ options, loaded, named }: JobContext, source: JobSource | null): PathValues {
  if (source?.kind === 'topic') {
    const [topic, second] = namedTopics(source.selection);
    return {
      ...(named && { config: named.name }),
      ...(topic !== undefined && second === undefined && { topic }),
    };
  }
  if (options.writeConfig === undefined || loaded === null) return {};
  const written = findEntry(options.writeConfig, '--write-config', loaded);
  const topic = topicNameOf(written)?.value;
  return { config: written.name, ...(topic !== undefined && { topic }) };
}

/** `--path` beside `--write-path`, when a topic is read: both must say the same. */
function checkSameTarget({ options, environment, named }: JobContext, values: PathValues): void {
  const { path, writePath } = options;
  if (named === null || path === undefined || writePath === undefined) return;
  const [left, right] = [path, writePath].map((text) => resolvePath(text, '--path', values, environment));
  if (left === right) return;
  throw usage(
    `--path "${path}" and --write-path "${writePath}" name different targets for --config ${named.name}; keep --write-path`,
  );
}

/** What is written must not be read again by the next run. */
function checkApart(source: JobSource, target: string, where: string): void {
  if (source.kind !== 'files') return;
  const inside = source.paths.find(
    (path) => target === path || target.startsWith(path.endsWith(sep) ? path : path + sep),
  );
  if (inside === undefined) return;
  throw usage(
    `${where} ${target} lies in --path ${inside}: the next run would load what this one writes; name another`,
  );
}

function checkNoLoop(source: JobSource, sink: Pick<TopicSink, 'topic' | 'kafka'>): void {
  if (source.kind !== 'topic' || !isSameCluster(source.kafka, sink.kafka)) return;
  const { selection } = source;
  const isRead =
    selection.kind === 'pattern'
      ? compileTopicPattern(selection.pattern).test(sink.topic)
      : namedTopics(selection).includes(sink.topic);
  if (isRead)
    throw usage(`topic ${sink.topic} would be read and written by the same run, without an end; write to another`);
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
