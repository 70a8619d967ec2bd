/** `customDeserializers`: functions of the user's modules that fields call, as `decode(value) as order`. */
import { OffloadError } from '../errors.ts';
import type { DeserializedColumn } from '../transform/batchTransform.ts';
import { isModuleName, moduleUrl } from './modules.ts';
import { isTypeWord } from './parseFields.ts';

/** Names of `customDeserializers` and the modules they stand for. */
export type Deserializers = Readonly<Record<string, string>>;

const NAME = '(?:`((?:[^`]|``)+)`|([\\p{L}_][\\p{L}\\p{N}_]*))';
const CALL = new RegExp(`^\\s*${NAME}\\s*\\(\\s*(key|value)\\s*\\)(?:\\s+as\\s+${NAME})?\\s*$`, 'iu');
const CALLED = new RegExp(`^\\s*${NAME}\\s*\\(`, 'u');

/** What can be called; names without a module, as templates of configurations have them, are left out. */
export function readDeserializers(file: string, given: Readonly<Record<string, unknown>>): Deserializers {
  const entries = Object.entries(given).filter(([, value]) => value !== null && value !== '');
  for (const [name, value] of entries) {
    if (typeof value === 'string' && isModuleName(value)) continue;
    throw new OffloadError(
      'CONFIG_INVALID',
      `kafka.customDeserializers.${name} in ${file} names a class of the JVM, which cannot be loaded here; name a module whose ` +
        'default export is a function of the bytes, as "./decode.mjs", or remove it, and let fields read the bytes, ' +
        'as "value as STRING" or "value as BINARY"',
    );
  }
  return Object.fromEntries(entries) as Deserializers;
}

export interface CalledFields {
  /** The fields with each call replaced by the column it reads. */
  readonly entries: readonly string[];
  readonly columns: readonly DeserializedColumn[];
}

/**
 * Takes the calls of deserializers out of fields.
 *
 * @param config Name of the entry, for messages.
 * @param cwd Absolute: modules are taken from here.
 * @throws OffloadError FIELD_INVALID for a call in another form than `NAME(key)` or `NAME(value)`, with `as NAME`.
 */
export function takeCalls(
  config: string,
  fields: readonly string[],
  deserializers: Deserializers,
  cwd: string,
): CalledFields {
  const columns: DeserializedColumn[] = [];
  const entries = fields.map((entry, index) => {
    const [, quoted, word] = CALLED.exec(entry) ?? [];
    const name = quoted ?? word ?? '';
    const module = Object.hasOwn(deserializers, name) ? deserializers[name] : undefined;
    if (module === undefined) return entry;
    const call = CALL.exec(entry);
    // A type, as Spark reads it: that of the column is what the function gives.
    if (!call || isTypeWord(call[5] ?? '')) {
      throw new OffloadError(
        'FIELD_INVALID',
        `${config}.fields[${index}]: "${entry}" calls ${name} of customDeserializers in a form that is not known; allowed: ${name}(key), ${name}(value), ${name}(value) as NAME`,
        { context: { entry } },
      );
    }
    const column = call[3]?.toLowerCase() === 'key' ? 'key' : 'value';
    const alias = call[4]?.replaceAll('``', '`') ?? call[5] ?? column;
    const where = `kafka.customDeserializers.${name}`;
    columns.push({ index, column, url: moduleUrl(module, cwd), where, type: null });
    return `${column} as \`${alias.replaceAll('`', '``')}\``;
  });
  return { entries, columns };
}
