import { OffloadError } from '../errors.ts';
import type { OffsetSpec } from './job.ts';
import type { Properties, Property } from './properties.ts';

/** An ISO time; without a zone it is UTC, as all days and times here. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * Where a topic is read from or to: `startingOffsets`, `startingTimestamp` and their `ending` twins.
 *
 * @param side Which pair to read; without either it is earliest for `starting`, latest for `ending`.
 * @param topic Spark's form names the topic around the partitions: it must be this one.
 * @throws OffloadError CONFIG_INVALID naming the key and what it can be.
 */
export function readOffsetSpec(properties: Properties, side: 'starting' | 'ending', topic: string): OffsetSpec {
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
  return { kind: 'offsets', byPartition: parsePartitions(offsets, side, topic) };
}

/**
 * The same for `--offsets`, where a time needs no key of its own.
 *
 * @throws OffloadError USAGE or CONFIG_INVALID naming the option and what it can be.
 */
export function parseOffsetsOption(text: string, topic: string): OffsetSpec {
  const word = text.trim().toLowerCase();
  if (word === 'earliest' || word === 'latest') return { kind: word };
  const property: Property = { value: text.trim(), where: '--offsets' };
  const timestampMs = ISO_TIME.test(property.value) ? Date.parse(withZone(property.value)) : Number.NaN;
  if (timestampMs >= 0) return { kind: 'timestamp', timestampMs };
  if (!word.startsWith('{')) {
    const forms = 'neither earliest nor latest, nor offsets as {"0": 12}, nor an ISO time as 2026-01-31T06:00:00Z';
    throw new OffloadError('USAGE', `--offsets "${text}" is ${forms}`);
  }
  const byPartition = parsePartitions(property, 'starting', topic);
  if (Object.keys(byPartition).length > 0) return { kind: 'offsets', byPartition };
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

function parsePartitions(property: Property, side: string, topic: string): Record<number, number> {
  const forms = 'earliest, latest, {"0": 12} or {"TOPIC": {"0": 12}}; -2 is earliest, -1 latest';
  let parsed: unknown;
  try {
    parsed = JSON.parse(property.value);
  } catch {
    throw invalid(property, `cannot be read; write ${forms}`);
  }
  if (!isMapping(parsed)) throw invalid(property, `cannot be read; write ${forms}`);
  const nested = Object.entries(parsed).filter(([, value]) => isMapping(value));
  if (nested.length > 0) {
    const other = Object.keys(parsed).find((name) => name !== topic);
    if (other !== undefined) throw invalid(property, `names topic ${other}, but this entry reads topic ${topic}`);
    parsed = parsed[topic];
  }
  const byPartition: Record<number, number> = {};
  for (const [partition, value] of Object.entries(parsed as Record<string, unknown>)) {
    const offset = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
    const lowest = side === 'ending' ? -1 : -2;
    if (!/^\d{1,9}$/.test(partition)) throw invalid(property, `has "${partition}" for a partition; write ${forms}`);
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
