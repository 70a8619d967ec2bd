/** A value that cannot hold others. Its text is what the file says: `007` stays `007`, so that a password does. */
export interface Scalar {
  readonly kind: 'scalar';
  readonly type: 'string' | 'number' | 'boolean' | 'null';
  readonly text: string;
  readonly quoted: boolean;
}

export interface ListValue extends Size {
  readonly kind: 'list';
  readonly items: readonly Value[];
}

export interface ObjectValue extends Size {
  readonly kind: 'object';
  readonly fields: ReadonlyMap<string, Value>;
}

/** A value without substitutions. One value may stand in many places, so `weight` can be far above what is in memory. */
export type Value = Scalar | ListValue | ObjectValue;

interface Size {
  /** Values and characters in it, itself included. */
  readonly weight: number;
  /** Levels of lists and objects, itself included. */
  readonly depth: number;
}

export function stringOf(text: string): Scalar {
  return { kind: 'scalar', type: 'string', text, quoted: true };
}

export function listOf(items: readonly Value[]): ListValue {
  return { kind: 'list', items, ...sizeOf(items, 0) };
}

export function objectOf(fields: ReadonlyMap<string, Value>): ObjectValue {
  const keys = [...fields.keys()].reduce((sum, key) => sum + key.length, 0);
  return { kind: 'object', fields, ...sizeOf([...fields.values()], keys) };
}

export function weightOf(value: Value): number {
  return value.kind === 'scalar' ? 1 + value.text.length : value.weight;
}

export function depthOf(value: Value): number {
  return value.kind === 'scalar' ? 0 : value.depth;
}

function sizeOf(children: readonly Value[], keyCharacters: number): Size {
  return {
    weight: children.reduce((sum, child) => sum + weightOf(child), 1 + keyCharacters),
    depth: children.reduce((deepest, child) => Math.max(deepest, depthOf(child)), 0) + 1,
  };
}

/**
 * Joins two values that stand side by side: objects merge (the right one wins), lists follow each other, everything
 * else becomes text. An object with keys 0, 1, ... is a list where a list stands beside it.
 *
 * Text without quotes after an object or list is dropped, as the reference library does; a blank before one, too.
 *
 * @returns null when the two do not go together.
 */
export function join(left: Value, right: Value): Value | null {
  if (left.kind === 'object' && right.kind === 'object') return mergeObjects(left, right);
  if (left.kind === 'scalar' && right.kind === 'scalar') return stringOf(left.text + right.text);
  if (right.kind === 'scalar') return right.type === 'string' && !right.quoted ? left : null;
  if (left.kind === 'scalar') return !left.quoted && left.text.trim() === '' ? right : null;
  const [first, second] = [asList(left), asList(right)];
  return first === null || second === null ? null : listOf([...first.items, ...second.items]);
}

function mergeObjects(below: ObjectValue, above: ObjectValue): ObjectValue {
  const fields = new Map(below.fields);
  for (const [key, value] of above.fields) {
    const other = fields.get(key);
    fields.set(key, value.kind === 'object' && other?.kind === 'object' ? mergeObjects(other, value) : value);
  }
  return objectOf(fields);
}

function asList(value: ListValue | ObjectValue): ListValue | null {
  if (value.kind === 'list') return value;
  const items = [...value.fields]
    .filter(([key]) => /^\+?\d+$/.test(key) && Number(key) < 2 ** 31)
    .sort(([left], [right]) => Number(left) - Number(right))
    .map(([, item]) => item);
  return items.length === 0 ? null : listOf(items);
}

/** Plain data as `JSON.parse` would give it; whole numbers beyond 2^53 lose their last digits. */
export function toPlain(value: Value): unknown {
  return convert(value, ({ type, text }) => {
    // Adding 0 makes -0 a 0, as the reference library has it.
    if (type === 'number') return Number(text) + 0;
    return type === 'boolean' ? text === 'true' : text;
  });
}

/** Plain data with every scalar as the text that was written; only null is null. */
export function toText(value: Value): unknown {
  return convert(value, ({ text }) => text);
}

function convert(value: Value, scalar: (value: Scalar) => unknown): unknown {
  if (value.kind === 'list') return value.items.map((item) => convert(item, scalar));
  // `fromEntries` defines properties, so a key `__proto__` is a key like any other.
  if (value.kind === 'object') {
    return Object.fromEntries([...value.fields].map(([key, field]) => [key, convert(field, scalar)]));
  }
  return value.type === 'null' ? null : scalar(value);
}
