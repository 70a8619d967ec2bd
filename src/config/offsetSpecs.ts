import { OffloadError } from '../errors.ts';
import type { OffsetSpec, TopicSelection } from './job.ts';
import type { Properties, Property } from './properties.ts';

/** An ISO time; without a zone it is UTC, as all days and times here. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * Where topics are read from or to: `startingOffsets`, `startingTimestamp` and their `ending` twins.
 *
 * @param side Which pair to read; without either it is earliest for `starting`, latest for `ending`.
 * @param selection Spark's form names the topic around the partitions: it must be one of these.
 * @throws OffloadError CONFIG_INVALID naming the key and what it can be.
 */
export function readOffsetSpec(
  properties: Properties,
  side: 'starting' | 'ending',
  selection: TopicSelection,
): OffsetSpec {
  const timestamp = properties.get(`${side}Timestamp`);
  if (timestamp !== undefined) return { kind: 'timestamp', timestampMs: parseTimestamp(timestamp) };
  const offsets = properties.get(`${side}Offsets`);
  if (offsets === undefined) return { kind: side === 'starting' ? 'earliest' : 'latest' };
  const word = offsets.value.trim().toLowerCase();
  if (word === 'latest') return { kind: 'latest' };
  if (word === 'earliest') {
    if (side === 'starting') return { kind: 'earliest' };
    throw invalid(offsets, 'cannot be earliest: nothing would ever be read; use latest, offsets or endingTimestamp');
  }
  return { kind: 'offsets', byTopic: parseTopics(offsets, side, selection) };
}

/**
 * The same for an option of the command line, where a time needs no key of its own.
 *
 * @throws OffloadError USAGE or CONFIG_INVALID naming the option and what it can be.
 */
export function parseOffsetsOption(
  text: string,
  option: '--offsets' | '--starting-offsets' | '--ending-offsets',
  selection: TopicSelection,
): OffsetSpec {
  const side = option === '--ending-offsets' ? 'ending' : 'starting';
  const property: Property = { value: text.trim(), where: option };
  const word = property.value.toLowerCase();
  if (word === 'latest') return { kind: word };
  if (word === 'earliest') {
    if (side === 'starting') return { kind: word };
    throw new OffloadError('USAGE', `${option} cannot be earliest: nothing would ever be read`);
  }
  const timestampMs = ISO_TIME.test(property.value) ? Date.parse(withZone(property.value)) : Number.NaN;
  if (timestampMs >= 0) return { kind: 'timestamp', timestampMs };
  if (!word.startsWith('{')) {
    const words = side === 'starting' ? 'neither earliest nor latest' : 'neither latest';
    const forms = `${words}, nor offsets as {"0": 12}, nor an ISO time as 2026-01-31T06:00:00Z`;
    throw new OffloadError('USAGE', `${option} "${text}" is ${forms}`);
  }
  const byTopic = parseTopics(property, side, selection);
  if (Object.values(byTopic).some((named) => Object.keys(named).length > 0)) return { kind: 'offsets', byTopic };
  throw invalid(property, 'names no partition; write offsets by partition as {"0": 12}');
}

function parseTimestamp(property: Property): number {
  const text = property.value.trim();
  const epochMs = /^\d+$/.test(text) ? Number(text) : ISO_TIME.test(text) ? Date.parse(withZone(text)) : Number.NaN;
  if (Number.isSafeInteger(epochMs) && epochMs >= 0) return epochMs;
  throw invalid(property, `"${text}" is no time; write milliseconds since 1970 or an ISO time as 2026-01-31T06:00:00Z`);
}

function withZone(text: string): string {
  if (text.length === 10) return text;
  const zoned = ISO_TIME.exec(text)?.[1] === undefined ? `${text}Z` : text;
  return zoned.replace(' ', 'T');
}

const FORMS = 'earliest, latest, {"0": 12} or {"TOPIC": {"0": 12}}; -2 is earliest, -1 latest';

function parseTopics(
  property: Property,
  side: string,
  selection: TopicSelection,
): Record<string, Record<number, number>> {
  const topics = namedTopics(selection);
  let parsed: unknown;
  try {
    parsed = JSON.parse(property.value);
  } catch {
    throw invalid(property, `cannot be read; write ${FORMS}`);
  }
  if (!isMapping(parsed)) throw invalid(property, `cannot be read; write ${FORMS}`);
  const nested = Object.entries(parsed).filter(([, value]) => isMapping(value));
  if (nested.length === 0) {
    const [topic] = topics ?? [];
    if (topic !== undefined && topics?.length === 1) return { [topic]: parsePartitions(property, side, parsed) };
    throw invalid(property, 'must name the topics, since several are read: {"TOPIC": {"0": 12}}');
  }
  const other = topics && Object.keys(parsed).find((name) => !topics.includes(name));
  if (typeof other === 'string') {
    throw invalid(property, `names topic ${other}, but this entry reads topic ${topics?.join(', ')}`);
  }
  const byTopic = Object.entries(parsed).map(([topic, partitions]) => {
    if (!isMapping(partitions)) throw invalid(property, `cannot be read; write ${FORMS}`);
    return [topic, parsePartitions(property, side, partitions)];
  });
  return Object.fromEntries(byTopic) as Record<string, Record<number, number>>;
}

/** Null: a pattern, whose topics are not known yet. */
function namedTopics(selection: TopicSelection): readonly string[] | null {
  if (selection.kind === 'pattern') return null;
  return selection.kind === 'topics' ? selection.topics : Object.keys(selection.partitions);
}

function parsePartitions(property: Property, side: string, parsed: Record<string, unknown>): Record<number, number> {
  const byPartition: Record<number, number> = {};
  for (const [partition, value] of Object.entries(parsed)) {
    const offset = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
    const lowest = side === 'ending' ? -1 : -2;
    if (!/^\d{1,9}$/.test(partition)) throw invalid(property, `has "${partition}" for a partition; write ${FORMS}`);
    if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < lowest) {
      throw invalid(
        property,
        `has ${JSON.stringify(value)} for partition ${partition}; offsets begin at ${lowest} here`,
      );
    }
    byPartition[Number(partition)] = offset;
  }
  return byPartition;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(property: Property, why: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', `${property.where} ${why}`);
}
