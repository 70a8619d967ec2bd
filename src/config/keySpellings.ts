import { OffloadError } from '../errors.ts';
import { kafkaShape, topicShape } from './schema.ts';

/** Keys at the top that are judged here. */
export const OWN_KEYS = ['kafka', 'connections'] as const;

/** A misspelling that configurations have copied from the reference for years, and what it means. */
const MISSPELT = new Map([['createPotions', 'createOptions']]);

/** Keys of the reference that this version cannot honour, and what works in their place. */
const NOT_YET = {
  root: { connections: 'set accessOptions on the topic, and name the target with --write-path' },
  kafka: {
    customDeserializers: 'classes of the JVM cannot be loaded; fields decides how keys and values are read',
  },
  topic: {
    headers: 'only writing to a topic would add headers; remove it',
    subscribePattern: 'name one topic in topicName',
    assign: 'name one topic in topicName, and partitions in startingOffsets and endingOffsets',
  },
} as const satisfies Record<string, Readonly<Record<string, string>>>;

type Tree = Readonly<Record<string, unknown>>;

/**
 * Brings keys to the one spelling the schema knows: `comet-offsets-mode` and `comet_offsets_mode` are
 * `cometOffsetsMode`. Names of topics and Kafka properties stay as they are.
 *
 * @param tree As it was read; whatever is no mapping is left for the schema to refuse.
 * @throws OffloadError CONFIG_INVALID for two spellings of one key, and for keys that are not in this version. An empty
 *   one of the latter asks for nothing and is dropped.
 */
export function unifyKeys(file: string, tree: unknown): unknown {
  if (!isMapping(tree)) return tree;
  const root = unify(file, tree, { path: '', known: ['kafka'], notYet: NOT_YET.root });
  if (!isMapping(root.kafka)) return root;
  const kafka = unify(file, root.kafka, { path: 'kafka.', known: Object.keys(kafkaShape), notYet: NOT_YET.kafka });
  if (!isMapping(kafka.topics)) return { ...root, kafka };
  const topics = mapValues(kafka.topics, (entry, name) => {
    const where = { path: `kafka.topics.${name}.`, known: Object.keys(topicShape), notYet: NOT_YET.topic };
    return isMapping(entry) ? unify(file, entry, where) : entry;
  });
  return { ...root, kafka: { ...kafka, topics } };
}

export function isMapping(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unify(
  file: string,
  tree: Tree,
  { path, known, notYet }: { path: string; known: readonly string[]; notYet: Readonly<Record<string, string>> },
): Tree {
  const spellings = new Map<string, string>();
  const entries: [string, unknown][] = [];
  for (const [key, value] of Object.entries(tree)) {
    const camelCase = key.replace(/[-_]([a-z])/g, (_match, letter: string) => letter.toUpperCase());
    const instead = Object.hasOwn(notYet, camelCase) ? notYet[camelCase] : undefined;
    if (instead !== undefined) {
      if (isEmpty(value)) continue;
      throw invalid(`${path}${key} in ${file} is not in this version: ${instead}`);
    }
    const meant = MISSPELT.get(camelCase) ?? camelCase;
    const name = known.includes(meant) ? meant : key;
    const earlier = spellings.get(name);
    if (earlier !== undefined) {
      throw invalid(`${path}${earlier} and ${path}${key} in ${file} are the same key; keep one of them`);
    }
    spellings.set(name, key);
    entries.push([name, value]);
  }
  return Object.fromEntries(entries);
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || (typeof value === 'object' && Object.keys(value as object).length === 0);
}

function mapValues(tree: Tree, change: (value: unknown, key: string) => unknown): Tree {
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, change(value, key)]));
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
