/** Which columns of a batch decide the folders, and which are left for the files. */
import { type Field, Schema, Type } from 'apache-arrow';
import { PARTITION_FUNCTIONS, type PartitionColumn, type PartitionFunction } from '../config/partitionBy.ts';
import { OffloadError } from '../errors.ts';
import { canPartitionBy } from './values.ts';

export interface PartitionLevel {
  /** Of the folders. */
  readonly name: string;
  /** Index of the column the values come from. */
  readonly index: number;
  readonly of: PartitionFunction | null;
}

export interface Partitioning {
  /** Outermost first. */
  readonly levels: readonly PartitionLevel[];
  /** Columns that stay in the files, by index: readers get the others from the names of folders. */
  readonly kept: readonly number[];
  readonly fileSchema: Schema;
}

/**
 * @param schema Of the rows before they are divided.
 * @throws OffloadError USAGE naming the column that is missing or does not suit.
 */
export function planPartitioning(columns: readonly PartitionColumn[], schema: Schema): Partitioning {
  const { fields } = schema;
  const levels = columns.map((column) => bindColumn(column, fields));
  const byValue = new Set(levels.filter(({ of }) => of === null).map(({ index }) => index));
  const kept = fields.flatMap((_, index) => (byValue.has(index) ? [] : [index]));
  if (kept.length === 0) {
    throw usage('every column is in --write-partition-by, so nothing is left for the files; leave one out');
  }
  const fileFields = kept.map((index) => fields[index] as Field);
  const taken = new Map(fileFields.map(({ name }) => [name.toLowerCase(), `the column ${name} of the files`]));
  for (const { name } of levels) {
    const other = taken.get(name.toLowerCase());
    if (other !== undefined) {
      throw usage(`--write-partition-by gives folders the name ${name}, which ${other} has, too; add "as NAME"`);
    }
    taken.set(name.toLowerCase(), 'another folder');
  }
  return { levels, kept, fileSchema: new Schema(fileFields) };
}

function bindColumn({ name, column, of }: PartitionColumn, fields: readonly Field[]): PartitionLevel {
  const exact = fields.findIndex((field) => field.name === column);
  const index = exact >= 0 ? exact : fields.findIndex((field) => field.name.toLowerCase() === column.toLowerCase());
  const field = fields[index];
  if (field === undefined) {
    throw usage(
      `--write-partition-by ${column}: there is no such column; columns: ${fields.map((each) => each.name).join(', ')}`,
    );
  }
  const { typeId } = field.type;
  if (of !== null && typeId !== Type.Timestamp && typeId !== Type.Date) {
    throw usage(
      `--write-partition-by ${of}(${field.name}): ${PARTITION_FUNCTIONS.join(', ')} take a date or timestamp, and ${field.name} is ${field.type}`,
    );
  }
  if (of === null && !canPartitionBy(typeId)) {
    throw usage(
      `--write-partition-by ${field.name}: its type ${field.type} cannot name folders; cast it to STRING, or choose another column`,
    );
  }
  return { name: name ?? of ?? field.name, index, of };
}

function usage(message: string): OffloadError {
  return new OffloadError('USAGE', message);
}
