import { OffloadError } from '../errors.ts';
import type { TopicSelection } from './job.ts';
import { isMapping } from './keySpellings.ts';
import type { Properties, Property } from './properties.ts';
import { compileTopicPattern } from './topicPattern.ts';

/**
 * Which topics are read: `subscribe`, `subscribePattern` or `assign` of Spark's Kafka reader, else `topicName`.
 *
 * @param topicName Of the entry, with its full key; null when it says nothing, or there is no entry.
 * @param missing What to say when nothing names a topic.
 * @returns The selection, and a warning where `subscribe` and `topicName` name different topics.
 * @throws OffloadError CONFIG_INVALID naming the key and what it can be.
 */
export function selectTopics(
  properties: Properties,
  topicName: Property | null,
  missing: string,
): { selection: TopicSelection; warnings: string[] } {
  const pattern = properties.get('subscribePattern');
  if (pattern !== undefined) return { selection: readPattern(pattern), warnings: [] };
  const assign = properties.get('assign');
  if (assign !== undefined) return { selection: readAssign(assign), warnings: [] };
  const subscribe = properties.get('subscribe');
  if (subscribe === undefined) {
    if (topicName === null) throw invalid(missing);
    return { selection: { kind: 'topics', topics: [checkTopicName(topicName)] }, warnings: [] };
  }
  const topics = readSubscribe(subscribe);
  const isSame = topicName === null || (topics.length === 1 && topics[0] === topicName.value);
  const warning = `${subscribe.where} is ${topics.join(', ')} and ${topicName?.where} is ${topicName?.value}: ${topics.join(', ')} is read`;
  return { selection: { kind: 'topics', topics }, warnings: isSame ? [] : [warning] };
}

/** @throws OffloadError CONFIG_INVALID for what cannot be the name of a topic. */
export function checkTopicName({ value, where }: Property): string {
  if (value.includes(',')) {
    throw invalid(`${where} names several topics (${value}); name one, and all of them in accessOptions.subscribe`);
  }
  if (/^[A-Za-z0-9._-]{1,249}$/.test(value) && value !== '.' && value !== '..') return value;
  throw invalid(`${where} "${value}" is no topic name: up to 249 letters, digits, ".", "_" and "-"`);
}

/** The topics a selection names, before a cluster is asked; none for a pattern. */
export function namedTopics(selection: TopicSelection): readonly string[] {
  if (selection.kind === 'pattern') return [];
  return selection.kind === 'topics' ? selection.topics : Object.keys(selection.partitions);
}

function readSubscribe({ value, where }: Property): string[] {
  const names = value
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  if (names.length === 0) throw invalid(`${where} is empty; name topics, separated by commas`);
  return [...new Set(names.map((name) => checkTopicName({ value: name, where })))];
}

function readPattern({ value, where }: Property): TopicSelection {
  compileTopicPattern(value, where);
  return { kind: 'pattern', pattern: value };
}

function readAssign(property: Property): TopicSelection {
  const form = 'write partitions by topic as {"orders": [0, 1]}';
  const wrong = () => invalid(`${property.where} cannot be read; ${form}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(property.value);
  } catch {
    throw wrong();
  }
  if (!isMapping(parsed) || Object.keys(parsed).length === 0) throw wrong();
  const partitions: Record<string, number[]> = {};
  for (const [topic, list] of Object.entries(parsed)) {
    checkTopicName({ value: topic, where: property.where });
    if (!Array.isArray(list) || list.length === 0) throw wrong();
    const numbers = list.map((each: unknown) =>
      Number(typeof each === 'string' && each.trim() === '' ? Number.NaN : each),
    );
    if (numbers.some((number) => !Number.isInteger(number) || number < 0 || number > 2 ** 31 - 1)) throw wrong();
    partitions[topic] = [...new Set(numbers)].sort((left, right) => left - right);
  }
  return { kind: 'assign', partitions };
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
