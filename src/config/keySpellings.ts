import { OffloadError } from '../errors.ts';
import { kafkaShape, topicShape } from './schema.ts';

/** A misspelling that configurations have copied from the reference for years, and what it means. */
const MISSPELT = new Map([['createPotions', 'createOptions']]);

/** Options of Spark's Kafka reader that are easily put one level too high. */
const MISPLACED = [
  'subscribe',
  'subscribePattern',
  'assign',
  'includeHeaders',
  'minPartitions',
  'maxOffsetsPerTrigger',
];

type Tree = Readonly<Record<string, unknown>>;

/**
 * Brings keys to the one spelling the schema knows: `comet-offsets-mode` and `comet_offsets_mode` are
 * `cometOffsetsMode`. Names of topics and Kafka properties stay as they are.
 *
 * @param tree As it was read; whatever is no mapping is left for the schema to refuse.
 * @throws OffloadError CONFIG_INVALID for two spellings of one key, and for keys that belong one level below.
 */
export function unifyKeys(file: string, tree: unknown): unknown {
  if (!isMapping(tree)) return tree;
  if (!isMapping(tree.kafka)) return tree;
  const kafka = unify(file, tree.kafka, 'kafka.', Object.keys(kafkaShape));
  if (!isMapping(kafka.topics)) return { ...tree, kafka };
  const topics = mapValues(kafka.topics, (entry, name) => {
    if (!isMapping(entry)) return entry;
    const path = `kafka.topics.${name}.`;
    const unified = unify(file, entry, path, [...Object.keys(topicShape), ...MISPLACED]);
    const misplaced = MISPLACED.find((key) => Object.hasOwn(unified, key));
    if (misplaced === undefined) return unified;
    throw invalid(`${path}${misplaced} in ${file} is an option of the reader; put it into ${path}accessOptions`);
  });
  return { ...tree, kafka: { ...kafka, topics } };
}

export function isMapping(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unify(file: string, tree: Tree, path: string, known: readonly string[]): Tree {
  const spellings = new Map<string, string>();
  const entries: [string, unknown][] = [];
  for (const [key, value] of Object.entries(tree)) {
    const camelCase = key.replace(/[-_]([a-z])/g, (_match, letter: string) => letter.toUpperCase());
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

function mapValues(tree: Tree, change: (value: unknown, key: string) => unknown): Tree {
  return Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, change(value, key)]));
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
