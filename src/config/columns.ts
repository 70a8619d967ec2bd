/** The columns of messages that a job reads, and what is made of them: `fields`, `includeHeaders`, `--transform`. */
import { OffloadError } from '../errors.ts';
import type { ModuleSettings, SqlSettings, TransformSettings } from '../transform/batchTransform.ts';
import { allowedCasts } from '../transform/casts.ts';
import { DEFAULT_COPIED_FIELDS, DEFAULT_FIELDS } from './defaults.ts';
import { type Deserializers, takeCalls } from './deserializers.ts';
import type { Field, SourceColumn } from './fields.ts';
import { isModuleName, moduleUrl } from './modules.ts';
import { isExpression, parseFields } from './parseFields.ts';
import type { NamedEntry } from './topicEntry.ts';

const COLUMNS = Object.keys(allowedCasts) as SourceColumn[];

export interface ColumnsRequest {
  /** Null: `--format kafka` without `--config`. */
  readonly named: NamedEntry | null;
  readonly transform: string | undefined;
  /** Rows are written to a topic: without `fields` keys and values stay the bytes they are. */
  readonly forTopic: boolean;
  readonly includeHeaders: boolean;
  readonly invalidUtf8: SqlSettings['invalidUtf8'];
  readonly cwd: string;
  readonly deserializers: Deserializers;
}

export interface SourceColumns {
  readonly fields: readonly Field[];
  readonly transform: TransformSettings | null;
  readonly notes: readonly string[];
}

/**
 * A statement and expressions in `fields` are checked here, before any cluster is touched.
 *
 * @throws OffloadError FIELD_INVALID, TRANSFORM_INVALID; CONFIG_INVALID for an empty list.
 */
export async function resolveColumns(request: ColumnsRequest): Promise<SourceColumns> {
  const { named, transform, invalidUtf8 } = request;
  if (transform !== undefined && !isModuleName(transform)) {
    const settings = sqlSettings(transform, invalidUtf8);
    const fields = await inputFields(settings);
    const given = named?.entry.fields;
    const note = `${named?.where}.fields has no effect beside --transform, which reads the columns it names`;
    return { fields, transform: settings, notes: given === undefined ? [] : [note] };
  }
  const columns = await resolveFields(request);
  if (transform === undefined) return { ...columns, notes: [] };
  const module = moduleSettings(transform, named?.name ?? 'topic', request.cwd);
  if (columns.transform?.kind === 'deserializers') {
    return { ...columns, transform: { ...columns.transform, next: module }, notes: [] };
  }
  if (columns.transform !== null) {
    throw new OffloadError(
      'USAGE',
      `--transform ${transform} cannot be run behind the expressions in ${named?.where}.fields; leave them to the module, ` +
        'or list plain columns there',
    );
  }
  return { ...columns, transform: module, notes: [] };
}

/**
 * `--transform` over rows of files, whose columns are seen later: checked as far as it can be.
 *
 * @throws OffloadError TRANSFORM_INVALID
 */
export async function resolveFileTransform(
  transform: string | undefined,
  { config, cwd }: { readonly config: string; readonly cwd: string },
): Promise<TransformSettings | null> {
  if (transform === undefined) return null;
  if (isModuleName(transform)) return moduleSettings(transform, config, cwd);
  const settings = sqlSettings(transform, 'fail');
  const { checkStatement } = await import('../transform/sql/sqlTransform.ts');
  await checkStatement(settings);
  return settings;
}

function sqlSettings(statement: string, invalidUtf8: SqlSettings['invalidUtf8']): SqlSettings {
  checkNoClass(statement);
  return { kind: 'sql', statement, where: '--transform', invalidUtf8, order: null };
}

function moduleSettings(name: string, config: string, cwd: string): ModuleSettings {
  return { kind: 'module', url: moduleUrl(name, cwd), where: `--transform ${name}`, config, columns: null };
}

async function resolveFields({
  named,
  forTopic,
  includeHeaders,
  invalidUtf8,
  cwd,
  deserializers,
}: ColumnsRequest): Promise<Omit<SourceColumns, 'notes'>> {
  const given = named?.entry.fields ?? (forTopic ? DEFAULT_COPIED_FIELDS : DEFAULT_FIELDS);
  if (given.length === 0) {
    throw new OffloadError(
      'CONFIG_INVALID',
      `${named?.where}.fields is empty; leave it out for ${DEFAULT_FIELDS.join(', ')}`,
    );
  }
  const name = named?.name ?? '--format kafka';
  const { entries, columns } = takeCalls(name, given, deserializers, cwd);
  const fields = parseFields(name, entries);
  const expressions = entries.filter(isExpression);
  const hasHeaders = fields.some((field) => field.name.toLowerCase() === 'headers');
  const withHeaders = includeHeaders && !hasHeaders;
  if (withHeaders) fields.push({ name: 'headers', column: 'headers', type: 'HEADERS' });
  if (columns.length > 0) {
    const [expression] = expressions;
    if (expression === undefined) {
      return { fields, transform: { kind: 'deserializers', config: named?.name ?? 'topic', columns, next: null } };
    }
    throw new OffloadError(
      'FIELD_INVALID',
      `${name}.fields: "${expression}" is SQL, which cannot stand beside calls of customDeserializers; leave one of them to another run, or calculate in the module`,
      { context: { entry: expression } },
    );
  }
  if (expressions.length === 0) return { fields, transform: null };
  const { joinExpressions } = await import('../transform/sql/sqlTransform.ts');
  const order = entries.map((entry) => (isExpression(entry) ? ('sql' as const) : ('plain' as const)));
  const settings: SqlSettings = {
    kind: 'sql',
    statement: await joinExpressions(entries, isExpression, `${name}.fields`),
    where: `${name}.fields`,
    invalidUtf8,
    order: withHeaders ? [...order, 'plain'] : order,
  };
  return { fields: [...fields, ...(await inputFields(settings, fields))], transform: settings };
}

/** The columns that a statement names, as they are in messages; checked with it against them. */
async function inputFields(settings: SqlSettings, plain: readonly Field[] = []): Promise<Field[]> {
  const [{ namedColumns }, { openTransform }, { arrowSchema }] = await Promise.all([
    import('../transform/sql/sqlTransform.ts'),
    import('../transform/batchTransform.ts'),
    import('../transform/schema.ts'),
  ]);
  const named = await namedColumns(settings, COLUMNS);
  // A table has a column at least.
  const columns = named.size === 0 ? (['partition'] as const) : COLUMNS.filter((column) => named.has(column));
  const fields = columns.map((column) => ({ name: column, column, type: allowedCasts[column][0] }));
  const opened = await openTransform(settings, arrowSchema([...plain, ...fields]), { memoryBytes: 0 });
  await opened.close();
  return fields;
}

/** A class of the JVM, as the JVM tool takes it. @throws OffloadError USAGE */
function checkNoClass(transform: string): void {
  if (!/^\s*[\w$]+(\.[\w$]+)*\s*$/.test(transform)) return;
  throw new OffloadError(
    'USAGE',
    `--transform ${transform} is no SQL, and classes of the JVM cannot be run here; write SELECT ... FROM messages WHERE ..., ` +
      'or name a module, as ./rows.mjs',
  );
}
