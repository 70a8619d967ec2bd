import { OffloadError } from '../errors.ts';
import { type Connection, readConnection } from './connections.ts';
import { type LoadedConfig, loadConfig, loadConfigIfAny } from './loadConfig.ts';
import { blockOptions, parsePairs } from './optionPairs.ts';
import type { CliOptions, Environment } from './options.ts';
import { planRoute, type Route } from './route.ts';
import { findEntry, type NamedEntry, type PropertyLayer } from './topicEntry.ts';

/** `--options` or `--write-options`. */
export interface SideOptions {
  readonly where: '--options' | '--write-options';
  /** Without `config`. */
  readonly given: Readonly<Record<string, string>>;
  /** `config=NAME`: what lies under them. */
  readonly config: string | null;
}

/** What the parts of one job are resolved from. */
export interface JobContext {
  readonly options: CliOptions;
  readonly environment: Environment;
  /** Null where nothing refers to the configuration file, or there is none and nothing needs it. */
  readonly loaded: LoadedConfig | null;
  /** The entry of `--config`. */
  readonly named: NamedEntry | null;
  readonly connection: Connection | null;
  readonly route: Route;
  readonly reader: SideOptions;
  readonly writer: SideOptions;
}

/**
 * Reads what the command line refers to, as far as it decides what kind of job this is.
 *
 * @throws OffloadError USAGE, CONFIG_INVALID, CONFIG_UNKNOWN
 */
export async function prepareJob(options: CliOptions, environment: Environment): Promise<JobContext> {
  const reader = readSide(options.options, '--options');
  const writer = readSide(options.writeOptions, '--write-options');
  const { config, writeConfig, connectionRef } = options;
  const isNeeded = [config, writeConfig, connectionRef, reader.config ?? undefined, writer.config ?? undefined].some(
    (name) => name !== undefined,
  );
  const mayHelp = [options.format, options.writeFormat].some((format) => format?.toLowerCase() === 'kafka');
  const loaded = isNeeded
    ? await loadConfig(options, environment)
    : mayHelp
      ? await loadConfigIfAny(options, environment)
      : null;
  const named = config === undefined || loaded === null ? null : findEntry(config, '--config', loaded);
  const connection = connectionRef === undefined || loaded === null ? null : readConnection(connectionRef, loaded);
  const route = planRoute(options, {
    writeFormat: named?.entry.writeFormat ?? null,
    writeFormatWhere: `${named?.where}.writeFormat`,
    connection,
  });
  return { options, environment, loaded, named, connection, route, reader, writer };
}

function readSide(text: string | undefined, where: SideOptions['where']): SideOptions {
  const given = parsePairs(text ?? '', where);
  const { config = null, ...others } = given;
  return { where, given: others, config };
}

/** The connection, if it is of this type and for this side. */
export function connectionOf<Type extends Connection['type']>(
  { connection, route }: JobContext,
  side: 'source' | 'sink',
  type: Type,
): Extract<Connection, { type: Type }> | null {
  if (connection?.type !== type || route.connectionSide !== side) return null;
  return connection as Extract<Connection, { type: Type }>;
}

/**
 * Options of files or the console: those of the connection, over them the block of `config=NAME`, over them the given.
 * A connection's options are for its own format, and left out where the command line names another.
 */
export function fileOptions(context: JobContext, side: 'source' | 'sink'): Record<string, string> {
  const { given, config, where } = side === 'source' ? context.reader : context.writer;
  const block = config === null ? {} : blockOptions(context.loaded, config, where);
  const connection = connectionOf(context, side, 'FS');
  const part = context.route[side];
  const isItsFormat = part.kind === 'files' && (connection?.format ?? part.format).toLowerCase() === part.format;
  return { ...(isItsFormat && connection?.options), ...block, ...given };
}

/**
 * The entry whose properties lie under the options of a topic: that of `--config` or `--write-config`, else the one of
 * `config=NAME`.
 *
 * @throws OffloadError USAGE when both are named; CONFIG_UNKNOWN
 */
export function entryUnder(
  { loaded }: JobContext,
  { config, where }: SideOptions,
  own: NamedEntry | null,
): NamedEntry | null {
  if (config === null || loaded === null) return own;
  if (own === null) return findEntry(config, `${where} config=`, loaded);
  const option = where === '--options' ? '--config' : '--write-config';
  throw new OffloadError(
    'USAGE',
    `config=${config} in ${where} has no place beside ${option} ${own.name}, whose options are taken; remove it`,
  );
}

/** What the command line says on top of every other property. */
export function topLayer({ given, where }: SideOptions): PropertyLayer {
  return { where, tree: given };
}
