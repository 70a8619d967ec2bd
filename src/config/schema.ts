import { z } from 'zod';
import { OffloadError } from '../errors.ts';
import { didYouMean } from './nearest.ts';
import { parseSize, SIZE_EXAMPLES } from './sizes.ts';

/** Messages never hold the value: it may be a secret in the wrong place. */
const MAPPING = mapping('must be a mapping (key: value)');
const text = z.string({ error: 'must be text' }).min(1, { error: 'is empty' });
const properties = z.record(z.string(), z.unknown(), MAPPING);

function mapping(message: string) {
  return { error: (issue: { readonly input?: unknown }) => (issue.input === undefined ? 'is missing' : message) };
}

/** Whole numbers, also as text: a variable may have stood there. */
function integer(min: number, what: string) {
  const wrong = { error: `must be a whole number${what}` };
  return z
    .union([z.string(), z.number()], wrong)
    .transform((value) => (typeof value === 'number' ? value : /^-?\d+$/.test(value) ? Number(value) : Number.NaN))
    .refine((value) => Number.isSafeInteger(value) && value >= min, wrong);
}

function size() {
  const wrong = { error: `must be a size, as ${SIZE_EXAMPLES}` };
  return z
    .union([z.string(), z.number()], wrong)
    .transform((value) => parseSize(String(value)) ?? 0)
    .refine((value) => value > 0, wrong);
}

function oneOf<const Names extends readonly [string, ...string[]]>(...names: Names) {
  const wrong = { error: `must be one of ${names.join(', ')}` };
  return z
    .string(wrong)
    .transform((value) => names.find((name) => name.toLowerCase() === value.toLowerCase()) as Names[number])
    .refine((value) => value !== undefined, wrong);
}

/** Constant headers: names and texts, or a list where a name comes twice or the order counts. */
const headers = z.union(
  [
    z.record(z.string(), z.string()).transform((map) => Object.entries(map).map(([key, value]) => ({ key, value }))),
    z.array(z.strictObject({ key: z.string(), value: z.string() })),
  ],
  { error: 'must be a mapping of header names to texts, or a list of { key, value }' },
);

export const topicShape = {
  topicName: text.nullish(),
  fields: z.array(text, { error: 'must be a list, as ["key as STRING", "value"]' }).nullish(),
  maxRead: integer(-1, '; -1 and 0 mean no limit').nullish(),
  accessOptions: properties.nullish(),
  writeFormat: text.nullish(),
  invalidUtf8: oneOf('fail', 'replace', 'null').nullish(),
  onBadRecord: text.nullish(),
  maxBatchBytes: size().nullish(),
  partitions: integer(1, ' of at least 1').nullish(),
  replicationFactor: integer(-1, ' of at least 1, or -1 for the default of the broker')
    .refine((value) => value !== 0, { error: 'must be at least 1, or -1 for the default of the broker' })
    .nullish(),
  createOptions: properties.nullish(),
  headers: headers.nullish(),
  chunkRecords: integer(1, ' of at least 1').nullish(),
  maxFileBytes: text.nullish(),
  maxFileAge: text.nullish(),
};

export const kafkaShape = {
  cometOffsetsMode: oneOf('STREAM', 'FILE').nullish(),
  serverOptions: properties.nullish(),
  // An entry with nothing below it is one with nothing set.
  topics: z.record(
    z.string(),
    z.preprocess((entry) => entry ?? {}, z.strictObject(topicShape, MAPPING)),
    mapping('must be a mapping of names to topics'),
  ),
  progressTopic: text.nullish(),
  customDeserializers: properties.nullish(),
  heartbeatMs: integer(100, ' of at least 100 (milliseconds)').nullish(),
  takeOverAfterMs: integer(200, ' of at least 200 (milliseconds)').nullish(),
};

/** Keys of an entry under `connections`, of the types that `connections.ts` knows. */
export const connectionShape = {
  type: text,
  format: text.nullish(),
  mode: text.nullish(),
  options: properties.nullish(),
};

const treeSchema = z.strictObject({ kafka: z.strictObject(kafkaShape, MAPPING) }, MAPPING);

const connectionSchema = z.strictObject(connectionShape, MAPPING);

export type ConfigTree = z.infer<typeof treeSchema>;
export type TopicEntry = ConfigTree['kafka']['topics'][string];
export type ConnectionEntry = z.infer<typeof connectionSchema>;

/**
 * Checks the shape of a configuration file. Kafka properties (`serverOptions`, `accessOptions`) are only known to be
 * mappings afterwards; `kafkaProperties.ts` judges them.
 *
 * @throws OffloadError CONFIG_INVALID naming the full path of the first key that is wrong or unknown.
 */
export function validateTree(file: string, tree: unknown): ConfigTree {
  return validate(treeSchema, file, tree ?? {}, []);
}

/**
 * The same for one entry under `connections`, of a type that is known here.
 *
 * @throws OffloadError CONFIG_INVALID as `validateTree`.
 */
export function validateConnection(file: string, name: string, entry: unknown): ConnectionEntry {
  return validate(connectionSchema, file, entry, ['connections', name]);
}

function validate<Schema extends z.ZodType>(
  schema: Schema,
  file: string,
  tree: unknown,
  at: readonly string[],
): z.infer<Schema> {
  const result = schema.safeParse(tree);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => ({ ...issue, path: [...at, ...issue.path] }));
  // A misspelt key is also a missing one: the misspelling says more.
  const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0];
  const others = issues.length - 1;
  const more = others > 0 ? ` (and ${others} more problem${others > 1 ? 's' : ''})` : '';
  throw new OffloadError('CONFIG_INVALID', `${describeIssue(file, issue as z.core.$ZodIssue)}${more}`);
}

function describeIssue(file: string, issue: z.core.$ZodIssue): string {
  const path = formatPath(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0] ?? '';
    const known = knownKeys(issue.path);
    const full = path === '' ? key : `${path}.${key}`;
    return `unknown key ${full} in ${file}${didYouMean(key, known) || `; known here: ${known.join(', ')}`}`;
  }
  return `${path === '' ? 'the document' : path} in ${file} ${issue.message}`;
}

function knownKeys(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return ['kafka', 'connections'];
  if (path[0] === 'connections') return Object.keys(connectionShape);
  if (path[3] === 'headers') return ['key', 'value'];
  return Object.keys(path.length === 1 ? kafkaShape : topicShape);
}

/** `kafka.topics.orders.fields[2]` */
function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}
