/** What a Kafka property holds, as the type it must have. */
import { OffloadError } from '../errors.ts';
import type { KnownProperty } from './librdkafkaNames.ts';
import type { Properties, Property } from './properties.ts';

/** Whether a property that names true or false is true; absent: the default. */
export function readBoolean(property: Property | undefined, fallback: boolean): boolean {
  return property === undefined ? fallback : readAs(property, 'boolean') === true;
}

/** The whole number of at least 1 that a property holds; absent: null. */
export function readCount(property: Property | undefined): number | null {
  if (property === undefined) return null;
  const count = readAs(property, 'number') as number;
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw invalid(`${property.where} is ${property.value}; it must be a whole number of at least 1`);
}

/**
 * A whole number within a range; absent: the fallback.
 *
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export function readBoundedNumber(
  properties: Properties,
  key: string,
  [min, max]: readonly [min: number, max: number],
  fallback: number,
): number {
  const property = properties.get(key);
  if (property === undefined) return fallback;
  const number = readAs(property, 'number') as number;
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw invalid(`${property.where} is ${property.value}; it must be a whole number from ${min} to ${max}`);
}

/** @throws OffloadError CONFIG_INVALID naming the key, for a value that is not of the type. */
export function readAs(
  { value, where }: Property,
  type: Exclude<KnownProperty['type'], 'callback'>,
): string | number | boolean {
  const text = value.trim();
  if (type === 'string') return value;
  if (type === 'boolean') {
    const isTrue = /^true$/i.test(text);
    if (isTrue || /^false$/i.test(text)) return isTrue;
    throw invalid(`${where} is "${value}"; it must be true or false`);
  }
  if (type === 'number') {
    if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text);
    throw invalid(`${where} is "${value}"; it must be a number`);
  }
  const choice = type.find((each) => each.toLowerCase() === text.toLowerCase());
  if (choice !== undefined) return choice;
  throw invalid(`${where} is "${value}"; it must be one of ${type.join(', ')}`);
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
