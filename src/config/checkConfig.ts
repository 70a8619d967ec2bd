import { OffloadError, toOffloadError } from '../errors.ts';
import { checkDeadLetters } from './badRecords.ts';
import { connectionType, readConnection } from './connections.ts';
import { OFFSETS_ENTRY } from './defaults.ts';
import { isMapping } from './keySpellings.ts';
import { type LoadedConfig, loadConfig } from './loadConfig.ts';
import { maskSecrets } from './maskSecrets.ts';
import { resolveOffsets } from './offsetsSettings.ts';
import type { CheckOptions, Environment } from './options.ts';
import { readPostgres } from './postgres.ts';
import { parseReport } from './runOptions.ts';
import { findEntry, reachKafka, readProperties, topicNameOf } from './topicEntry.ts';
import { namedTopics } from './topicSelection.ts';
import { resolveTopicSink } from './topicSink.ts';
import { resolveTopicSource } from './topicSource.ts';

/** What `kafkaload config check` says of a file that is right. */
interface CheckedConfig {
  readonly file: string;
  readonly entries: number;
  readonly connections: number;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  /** The part of the file that is ours, variables replaced and keys in one spelling, secrets masked. */
  readonly config: unknown;
}

/**
 * Validates the configuration file as far as that is possible without Kafka: each entry as a source and, where it names
 * a topic, as a target; where offsets are saved; connections of the types that are known.
 *
 * @returns The resolved tree as YAML, or all that was found as JSON, secrets masked; with a final line feed.
 * @throws OffloadError with exit status 2 for the first thing that is wrong, saying how many entries were checked.
 */
export async function checkConfig(options: CheckOptions, environment: Environment): Promise<string> {
  const report = parseReport(options.report);
  const loaded = await loadConfig(options, environment);
  const checked = await checkEntries(loaded, environment);
  if (report === 'json') return `${JSON.stringify(checked, null, 2)}\n`;
  const { stringify } = await import('yaml');
  const { file, entries, connections, warnings, config } = checked;
  const counts = [count(entries, 'topic entry', 'topic entries'), count(connections, 'connection', 'connections')];
  const remarks = options.verbose ? [...warnings, ...checked.notes] : warnings;
  const comments = [`${file} is valid: ${counts.join(', ')}`, ...remarks].map((line) => `# ${line}\n`);
  return `${comments.join('')}${stringify(config)}`;
}

async function checkEntries(loaded: LoadedConfig, environment: Environment): Promise<CheckedConfig> {
  const { file, tree } = loaded;
  const { cwd } = environment;
  const names = Object.keys(tree.kafka.topics).filter((name) => name !== OFFSETS_ENTRY);
  const notes: string[] = [];
  const warnings: string[] = [];
  for (const [index, name] of names.entries()) {
    try {
      const named = findEntry(name, '--config', loaded);
      const properties = readProperties({ loaded, named, connection: null, more: null });
      const topicName = topicNameOf(named);
      const source = await resolveTopicSource(
        properties,
        named,
        {},
        { cwd, topicName, deserializers: loaded.deserializers },
      );
      if (topicName !== null) await resolveTopicSink(properties, named, { cwd });
      const offsets = await resolveOffsets(tree.kafka, namedTopics(source.source.selection), cwd);
      checkDeadLetters(source.source, null, offsets.settings);
      notes.push(...source.notes, ...offsets.notes);
      warnings.push(...source.warnings);
    } catch (error) {
      const { code, message, context } = toOffloadError(error);
      const checked = `${index + 1} of ${count(names.length, 'topic entry', 'topic entries')} checked`;
      throw new OffloadError(code, `${message} (${checked})`, { context, cause: error });
    }
  }
  const connections = await checkConnections(loaded, environment);
  return {
    file,
    entries: names.length,
    connections: connections.length,
    warnings: [...new Set(warnings)],
    notes: [...new Set(notes)],
    config: maskSecrets({
      kafka: tree.kafka,
      ...(connections.length > 0 && { connections: Object.fromEntries(connections) }),
    }),
  };
}

/** Those of other types belong to other commands: what they hold is not looked at. */
async function checkConnections(loaded: LoadedConfig, { cwd }: Environment): Promise<[string, unknown][]> {
  const all = loaded.block('connections');
  if (!isMapping(all)) return [];
  const known = Object.entries(all).filter(([, entry]) => connectionType(entry) !== null);
  for (const [name] of known) {
    const connection = readConnection(name, loaded);
    if (connection.type === 'POSTGRESQL') await readPostgres(connection, cwd);
    if (connection.type !== 'KAFKA') continue;
    const properties = readProperties({ loaded, named: null, connection, more: null });
    await reachKafka(properties, { cwd, side: 'source', serverWhere: connection.where });
  }
  return known;
}

function count(value: number, one: string, many: string): string {
  return `${value} ${value === 1 ? one : many}`;
}
