/**
 * Which kind of source and of sink the options ask for, and every combination of options that makes no sense (of those
 * that name the sides in `routeSides.ts`). Nothing is read or resolved here: what the configuration says comes in as
 * arguments.
 */
import { OffloadError } from '../errors.ts';
import type { Connection } from './connections.ts';
import { DEFAULTS } from './defaults.ts';
import { FILE_FORMATS, type FileFormat, SINK_FORMATS, SOURCE_FORMATS } from './formats.ts';
import { didYouMean } from './nearest.ts';
import type { CliOptions } from './options.ts';
import { checkSides, sideOf } from './routeSides.ts';
import { checkStreamOptions, partitionColumns } from './streamOptions.ts';

/** What the configuration says that decides the route. */
export interface RouteHints {
  /** `writeFormat` of the topic that is read, and its full key. */
  readonly writeFormat: string | null;
  readonly writeFormatWhere: string;
  readonly connection: Connection | null;
}

export type SourceRoute =
  | { readonly kind: 'topic' }
  /** `path` null: the base path of the connection. */
  | { readonly kind: 'files'; readonly path: string | null; readonly format: FileFormat };

export type SinkRoute =
  | { readonly kind: 'topic' }
  | { readonly kind: 'console' }
  /** As it was written: `db.table` or `table`. */
  | { readonly kind: 'table'; readonly name: string }
  | {
      readonly kind: 'files';
      /** Null: the base path of the connection. */
      readonly path: string | null;
      readonly where: string;
      readonly format: FileFormat;
    };

export interface Route {
  readonly source: SourceRoute;
  readonly sink: SinkRoute;
  /** The side the connection is for. */
  readonly connectionSide: 'source' | 'sink' | null;
}

/**
 * Decides by the options alone where rows come from and where they go.
 *
 * @throws OffloadError USAGE naming the option that has no place, and what would be right.
 */
export function planRoute(options: CliOptions, hints: RouteHints): Route {
  const { config, connectionRef } = options;
  checkStreamOptions(options);
  const format = parseFormat(options.format, '--format', SOURCE_FORMATS);
  const isTopic = config !== undefined || format === 'kafka';
  if (options.streamingToTable !== undefined) return planTableRoute(options, options.streamingToTable, hints, isTopic);
  const sinkFormat = chooseSinkFormat(options, hints, isTopic, format);
  const sinkKind = sinkFormat === 'kafka' ? 'topic' : sinkFormat === 'console' ? 'console' : 'files';
  checkSides(options, isTopic, sinkKind);
  const connectionSide =
    connectionRef === undefined ? null : sideOf(hints.connection, isTopic, sinkKind, connectionRef);
  const connection = hints.connection?.type === 'FS' ? hints.connection : null;
  const source = isTopic
    ? ({ kind: 'topic' } as const)
    : fileSource(options, format, connectionSide === 'source' ? connection : null);
  const route: Route = {
    source,
    sink:
      sinkKind === 'files'
        ? fileSink(options, sinkFormat as FileFormat, isTopic, connectionSide === 'sink' ? connection : null)
        : { kind: sinkKind },
    connectionSide,
  };
  checkOptions(options, route);
  return route;
}

/** From a topic to a table: nothing else may name a target. */
function planTableRoute(options: CliOptions, name: string, hints: RouteHints, isTopic: boolean): Route {
  const table = `--streaming-to-table ${name}`;
  if (!isTopic) throw usage(`${table} is for rows of a topic; name it by --config NAME`);
  const others = [
    ['--path', options.path],
    ['--write-path', options.writePath],
    ['--write-config', options.writeConfig],
    ['--write-format', options.writeFormat],
    ['--write-coalesce', options.writeCoalesce],
    ['--write-partition-by', options.writePartitionBy],
    ['--streaming-partition-by', options.streamingPartitionBy],
  ] as const;
  const other = others.find(([, value]) => value !== undefined);
  if (other) throw usage(`${other[0]} ${other[1]} has no place with ${table}: rows go to that table alone; remove one`);
  const connectionSide = hints.connection === null ? null : hints.connection.type === 'KAFKA' ? 'source' : 'sink';
  return { source: { kind: 'topic' }, sink: { kind: 'table', name }, connectionSide };
}

/** One of a few words in any case; null where nothing is said. */
function parseFormat<Format extends string>(
  text: string | null | undefined,
  where: string,
  formats: readonly Format[],
): Format | null {
  if (text === undefined || text === null) return null;
  const format = formats.find((each) => each === text.toLowerCase());
  if (format !== undefined) return format;
  throw usage(`unknown ${where} ${text}; one of ${formats.join(', ')}${didYouMean(text, formats)}`);
}

/** `--path` is the target when nothing else is, and a topic is read. */
function isPathTarget({ path, writeConfig }: CliOptions, isTopic: boolean): boolean {
  return isTopic && path !== undefined && writeConfig === undefined;
}

function chooseSinkFormat(
  options: CliOptions,
  hints: RouteHints,
  isTopic: boolean,
  format: (typeof SOURCE_FORMATS)[number] | null,
): (typeof SINK_FORMATS)[number] {
  const asked = parseFormat(options.writeFormat, '--write-format', SINK_FORMATS);
  const { writeConfig, writePath } = options;
  const pathIsTarget = isPathTarget(options, isTopic);
  const byFormat = format !== null && format !== 'kafka' && pathIsTarget ? format : null;
  if (asked !== null && byFormat !== null && asked !== byFormat) {
    throw usage(`--write-format ${options.writeFormat} and --format ${options.format} differ; keep --write-format`);
  }
  if (asked !== null) return asked;
  if (writeConfig !== undefined) return 'kafka';
  if (byFormat !== null) return byFormat;
  const hasPath = writePath !== undefined || pathIsTarget;
  const byEntry = parseFormat(hints.writeFormat, hints.writeFormatWhere, SINK_FORMATS);
  if (byEntry !== null) {
    if (!hasPath || isFileFormat(byEntry)) return byEntry;
    const path = writePath === undefined ? '--path' : '--write-path';
    throw usage(
      `${hints.writeFormatWhere} is ${byEntry} and ${path} names files; add --write-format ${DEFAULTS.format}, or another format of files`,
    );
  }
  const connection = hints.connection?.type === 'FS' && isTopic ? hints.connection : null;
  const byConnection = parseFormat(connection?.format, `connections.${connection?.name}.format`, FILE_FORMATS);
  return byConnection ?? (hasPath || connection !== null ? DEFAULTS.format : 'kafka');
}

function isFileFormat(format: string): format is FileFormat {
  return FILE_FORMATS.some((each) => each === format);
}

type FilesConnection = Extract<Connection, { type: 'FS' }>;

function fileSource(
  { path, writeConfig, writePath }: CliOptions,
  format: (typeof SOURCE_FORMATS)[number] | null,
  connection: FilesConnection | null,
): SourceRoute {
  if (path === undefined && !connection?.basePath) {
    throw usage(
      writeConfig === undefined && writePath === undefined
        ? '--config is missing; name the entry under kafka.topics to read: --config NAME, or files to load: --path PATH'
        : '--path is missing: the files to load, or with --config NAME the topic to read',
    );
  }
  const byConnection = parseFormat(connection?.format, `connections.${connection?.name}.format`, FILE_FORMATS);
  return {
    kind: 'files',
    path: path ?? null,
    format: (format as FileFormat | null) ?? byConnection ?? DEFAULTS.format,
  };
}

function fileSink(
  { path, writePath }: CliOptions,
  format: FileFormat,
  isTopic: boolean,
  connection: FilesConnection | null,
): SinkRoute {
  if (writePath !== undefined) return { kind: 'files', path: writePath, where: '--write-path', format };
  if (isTopic && path !== undefined) return { kind: 'files', path, where: '--path', format };
  if (connection?.basePath)
    return { kind: 'files', path: null, where: `connections.${connection.name}.options.path`, format };
  throw usage('--write-path is missing: the folder (or, with --write-coalesce 1, the file) to write to');
}

/** Options that say how something is done which this route does not do. */
function checkOptions(options: CliOptions, { source, sink }: Route): void {
  const { writeCoalesce, writeMode } = options;
  const writePartitionBy = partitionColumns(options);
  if (sink.kind === 'topic' && !hasTopicTarget(options)) {
    throw usage(
      'no target is named: name a folder or file by --write-path, a topic by --write-config, or --write-format console',
    );
  }
  if (sink.kind !== 'files' && writeCoalesce !== undefined) {
    throw usage(`--write-coalesce ${writeCoalesce} has no meaning for ${nameOf(sink)}, which has no files; remove it`);
  }
  if (sink.kind !== 'files' && writePartitionBy !== undefined) {
    throw usage(
      `--${options.writePartitionBy === undefined ? 'streaming' : 'write'}-partition-by ${writePartitionBy} has no meaning for ${nameOf(sink)}, which has no folders; remove it`,
    );
  }
  if (sink.kind !== 'files' && writeMode !== undefined && writeMode.toLowerCase() !== 'append') {
    const why = sink.kind === 'topic' ? 'a topic can only be appended to' : 'the console only shows rows';
    throw usage(`--write-mode ${writeMode} is refused: ${why}; remove it`);
  }
  if (source.kind === 'files') {
    const what = 'has no meaning for files, which have no offsets; remove it, or read a topic by --config';
    if (options.maxRecords !== undefined) throw usage(`--max-records ${what}`);
    if (options.startingOffsets !== undefined) throw usage(`--starting-offsets ${what}`);
    if (options.endingOffsets !== undefined) throw usage(`--ending-offsets ${what}`);
    if (options.noCommit) throw usage(`--no-commit ${what}`);
  }
  if (options.reload && (source.kind !== 'files' || sink.kind !== 'topic')) {
    throw usage('--reload is for loading files into a topic by --path and --write-config; remove it');
  }
  if (options.takeOver && sink.kind === 'console') {
    throw usage('--take-over has no meaning with the console, which waits for no other run; remove it');
  }
}

function hasTopicTarget({ writeConfig, writeFormat, writeOptions }: CliOptions): boolean {
  return writeConfig !== undefined || (writeFormat !== undefined && writeOptions !== undefined);
}

function nameOf(sink: SinkRoute): string {
  return sink.kind === 'topic' ? 'a topic' : 'the console';
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
