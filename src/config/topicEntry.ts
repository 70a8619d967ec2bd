import { OffloadError } from '../errors.ts';
import type { Connection } from './connections.ts';
import { DEFAULTS, OFFSETS_ENTRY } from './defaults.ts';
import type { TopicToCreate } from './job.ts';
import { resolveKafka } from './kafkaProperties.ts';
import type { KafkaSettings } from './kafkaSettings.ts';
import type { LoadedConfig } from './loadConfig.ts';
import { didYouMean } from './nearest.ts';
import { mergeProperties, type Properties, type Property } from './properties.ts';
import type { TopicEntry } from './schema.ts';

const SERVER_OPTIONS = 'kafka.serverOptions';

/** One layer of Kafka properties, as it was written. */
export interface PropertyLayer {
  /** Full key, or the option, for messages. */
  readonly where: string;
  readonly tree: Readonly<Record<string, unknown>> | null | undefined;
}

export interface NamedEntry {
  readonly name: string;
  readonly entry: TopicEntry;
  /** Full key. */
  readonly where: string;
}

/**
 * The entry under `kafka.topics` that an option names. State is kept by its name, in keys and in file names.
 *
 * @param option For messages: `--config`, `--write-config`.
 * @throws OffloadError CONFIG_UNKNOWN when there is none; CONFIG_INVALID for a name that no state can be kept by.
 */
export function findEntry(name: string, option: string, { file, tree }: LoadedConfig): NamedEntry {
  const { topics } = tree.kafka;
  const names = Object.keys(topics).filter((each) => each !== OFFSETS_ENTRY);
  if (name === OFFSETS_ENTRY) {
    throw new OffloadError(
      'CONFIG_UNKNOWN',
      `${option} ${name} is where offsets are saved; name one of ${names.join(', ')}`,
    );
  }
  const entry = Object.hasOwn(topics, name) ? topics[name] : undefined;
  if (entry === undefined) {
    const known = names.length > 0 ? `it has ${names.join(', ')}` : 'it has none';
    throw new OffloadError(
      'CONFIG_UNKNOWN',
      `there is no entry kafka.topics.${name} in ${file}; ${known}${didYouMean(name, names)}`,
    );
  }
  if (!/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(name) || name.startsWith('_kafkaload')) {
    throw invalid(
      `kafka.topics.${name} cannot be offloaded by this name: offsets are saved under it, so it must be letters, ` +
        'digits, ".", "_" and "-", without a "." or "_kafkaload" at its beginning',
    );
  }
  return { name, entry, where: `kafka.topics.${name}` };
}

/** The topic an entry names, with the key that names it; null when it names none. */
export function topicNameOf({ entry, where }: NamedEntry): Property | null {
  return entry.topicName ? { value: entry.topicName, where: `${where}.topicName` } : null;
}

/**
 * Reads the layers of properties of one topic, each over the one before: `serverOptions`, the entry's `accessOptions`, a
 * connection, what the command line says.
 *
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export function readProperties(place: {
  readonly loaded: LoadedConfig | null;
  readonly named: NamedEntry | null;
  readonly connection: Extract<Connection, { type: 'KAFKA' }> | null;
  readonly more: PropertyLayer | null;
}): Properties {
  const { loaded, named, connection, more } = place;
  const layers: PropertyLayer[] = [{ where: SERVER_OPTIONS, tree: loaded?.tree.kafka.serverOptions }];
  if (named) layers.push({ where: `${named.where}.accessOptions`, tree: named.entry.accessOptions });
  if (connection) layers.push({ where: connection.where, tree: connection.properties });
  if (more) layers.push(more);
  return mergeProperties(layers);
}

/**
 * How to reach the cluster of a topic.
 *
 * @param serverWhere Where `bootstrap.servers` is missed.
 * @throws OffloadError as `resolveKafka`.
 */
export async function reachKafka(
  properties: Properties,
  options: {
    readonly cwd: string;
    readonly side: 'source' | 'sink';
    readonly maxBatchBytes?: number | null | undefined;
    readonly serverWhere?: string;
    readonly alsoRead?: readonly string[];
  },
): Promise<{ settings: KafkaSettings; notes: readonly string[] }> {
  const { cwd, side, maxBatchBytes, serverWhere = SERVER_OPTIONS, alsoRead = [] } = options;
  return resolveKafka(properties, {
    serverWhere,
    cwd,
    side,
    alsoRead,
    maxBatchBytes: maxBatchBytes ?? DEFAULTS.maxBatchBytes,
  });
}

/** Topic configuration of an entry, as texts. */
export function readCreateOptions({ entry, where }: Omit<NamedEntry, 'name'>): TopicToCreate['createOptions'] {
  const properties = mergeProperties([{ where: `${where}.createOptions`, tree: entry.createOptions }]);
  return Object.fromEntries([...properties].map(([key, { value }]) => [key, value]));
}

/**
 * Whether two settings name a broker in common, which is all that can be known without asking them. A list that grows
 * by a broker stays the same cluster.
 */
export function isSameCluster(left: KafkaSettings, right: KafkaSettings): boolean {
  const brokers = ({ connection }: KafkaSettings) =>
    connection.bootstrap.map(({ host, port }) => `${host.toLowerCase()}:${port}`);
  const others = new Set(brokers(right));
  return brokers(left).some((broker) => others.has(broker));
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
