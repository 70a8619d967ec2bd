import { OffloadError } from '../errors.ts';
import { isMapping } from './keySpellings.ts';
import type { LoadedConfig } from './loadConfig.ts';
import { didYouMean } from './nearest.ts';
import { type ConnectionEntry, validateConnection } from './schema.ts';

/** Types of connections that work here. */
const TYPES = ['KAFKA', 'FS', 'POSTGRESQL'] as const;
/** A type of every database that has a driver for Java: ours when its URL is one of PostgreSQL. */
const JDBC = 'JDBC';
/** Where the files are, among the options of an FS connection. */
const BASE_PATH = 'path';

/** What `--connectionRef` names, as far as this version has its type. */
export type Connection =
  | {
      readonly type: 'KAFKA';
      readonly name: string;
      /** Full key of the properties, for messages. */
      readonly where: string;
      /** Kafka properties, `bootstrap.servers` among them if it is set. */
      readonly properties: Readonly<Record<string, unknown>>;
    }
  | {
      readonly type: 'FS';
      readonly name: string;
      /** Relative paths are taken from here; itself the place where no path is given. As it was written. */
      readonly basePath: string | null;
      readonly format: string | null;
      readonly mode: string | null;
      readonly options: Readonly<Record<string, string>>;
    }
  | {
      /** Also `JDBC` with a URL of PostgreSQL. */
      readonly type: 'POSTGRESQL';
      readonly name: string;
      /** Full key of the options, for messages. */
      readonly where: string;
      /** As `postgres.ts` reads them; secrets among them. */
      readonly options: Readonly<Record<string, unknown>>;
    };

/**
 * Reads an entry under `connections`.
 *
 * @throws OffloadError CONFIG_UNKNOWN when there is none of this name; CONFIG_INVALID for a type that is not in this
 *   version, or keys that make no sense for its type.
 */
export function readConnection(name: string, loaded: LoadedConfig): Connection {
  const { file } = loaded;
  const all = loaded.block('connections');
  const names = isMapping(all) ? Object.keys(all) : [];
  const entry = isMapping(all) && Object.hasOwn(all, name) ? all[name] : undefined;
  if (entry === undefined) {
    const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has none';
    throw new OffloadError(
      'CONFIG_UNKNOWN',
      `there is no entry connections.${name} in ${file}; ${known}${didYouMean(name, names)}`,
    );
  }
  const type = connectionType(entry);
  if (type === null) {
    const given = isMapping(entry) && typeof entry.type === 'string' ? ` ${entry.type}` : '';
    throw invalid(
      given === ''
        ? `connections.${name}.type in ${file} is missing; one of ${TYPES.join(', ')}`
        : `connections.${name}.type${given} in ${file} is not in this version, which has ${TYPES.slice(0, -1).join(', ')} and ${TYPES.at(-1)}: ` +
            'write files with --write-path, and load those with the tools of that store',
    );
  }
  const read = validateConnection(file, name, entry);
  if (type === 'POSTGRESQL') return readDatabase(name, read, file);
  return type === 'KAFKA' ? readKafka(name, read, file) : readFiles(name, read);
}

/** The type of an entry; null for one that is not in this version. */
export function connectionType(entry: unknown): Connection['type'] | null {
  if (!isMapping(entry) || typeof entry.type !== 'string') return null;
  const given = entry.type.toUpperCase();
  if (given === JDBC) return isPostgres(entry.options) ? 'POSTGRESQL' : null;
  return TYPES.find((type) => type === given) ?? null;
}

function isPostgres(options: unknown): boolean {
  return isMapping(options) && typeof options.url === 'string' && /^(jdbc:)?postgres(ql)?:/i.test(options.url.trim());
}

function readDatabase(name: string, { format, mode, options }: ConnectionEntry, file: string): Connection {
  if (format && format.toLowerCase() !== 'jdbc') {
    throw invalid(`connections.${name}.format in ${file} has no meaning for a table of a database; remove it`);
  }
  if (mode && mode.toLowerCase() !== 'append') {
    throw invalid(`connections.${name}.mode in ${file} is refused: a stream can only append to a table; remove it`);
  }
  return { type: 'POSTGRESQL', name, where: `connections.${name}.options`, options: options ?? {} };
}

function readKafka(name: string, { format, mode, options }: ConnectionEntry, file: string): Connection {
  if (format || mode) {
    throw invalid(
      `connections.${name}.${format ? 'format' : 'mode'} in ${file} has no meaning for type KAFKA; remove it`,
    );
  }
  const { bootstrapServers, ...others } = options ?? {};
  const properties = bootstrapServers === undefined ? others : { ...others, 'bootstrap.servers': bootstrapServers };
  return { type: 'KAFKA', name, where: `connections.${name}.options`, properties };
}

function readFiles(name: string, { format, mode, options }: ConnectionEntry): Connection {
  const entries = Object.entries(options ?? {}).flatMap(([key, value]): [string, string][] => {
    if (value === null || value === undefined) return [];
    if (typeof value === 'string') return [[key, value]];
    throw invalid(`connections.${name}.options.${key} must be one value`);
  });
  const { [BASE_PATH]: basePath, ...others } = Object.fromEntries(entries);
  return { type: 'FS', name, basePath: basePath ?? null, format: format ?? null, mode: mode ?? null, options: others };
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
