/** The schema of flat columns, to the byte as parquet-wasm writes it: files of either must go together. */
import { type Field, type Schema, Type } from 'apache-arrow';
import { FILE_META_DATA, SCHEMA_ELEMENT } from '../format.ts';
import { binary, bool, integer, list, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import { flatPhysicalType } from './values.ts';

const VERSION = 1;
const ROOT_NAME = 'arrow_schema';
const REPETITION = { REQUIRED: 0, OPTIONAL: 1 } as const;
const CONVERTED_TYPE = { UTF8: 0, DATE: 6, TIMESTAMP_MILLIS: 9 } as const;
/** Field ids of the union LogicalType, of TimestampType and of the union TimeUnit. */
const LOGICAL_TYPE = { STRING: 1, DATE: 6, TIMESTAMP: 8 } as const;
const TIMESTAMP = { IS_ADJUSTED_TO_UTC: 1, UNIT: 2 } as const;
const MILLIS = 1;
/** Field id of the union ColumnOrder: the order that the type defines. */
const TYPE_ORDER = 1;

/** A FileMetaData without row groups; undefined if a column is not flat. */
export function flatFooter(schema: Schema): ThriftStruct | undefined {
  const columns: ThriftStruct[] = [];
  for (const field of schema.fields) {
    const physicalType = flatPhysicalType(field.type);
    if (physicalType === undefined) return undefined;
    columns.push(schemaElement(field, physicalType));
  }
  const root = struct({
    [SCHEMA_ELEMENT.NAME]: binary(Buffer.from(ROOT_NAME)),
    [SCHEMA_ELEMENT.NUM_CHILDREN]: integer(WIRE.I32, columns.length),
  });
  return struct({
    [FILE_META_DATA.VERSION]: integer(WIRE.I32, VERSION),
    [FILE_META_DATA.SCHEMA]: list(WIRE.STRUCT, [root, ...columns]),
    [FILE_META_DATA.NUM_ROWS]: integer(WIRE.I64, 0),
    [FILE_META_DATA.ROW_GROUPS]: list(WIRE.STRUCT, []),
    [FILE_META_DATA.COLUMN_ORDERS]: list(
      WIRE.STRUCT,
      columns.map(() => struct({ [TYPE_ORDER]: struct({}) })),
    ),
  });
}

function schemaElement({ name, nullable, type }: Field, physicalType: number): ThriftStruct {
  const { convertedType, logicalType } = annotationOf(type);
  return struct({
    [SCHEMA_ELEMENT.TYPE]: integer(WIRE.I32, physicalType),
    [SCHEMA_ELEMENT.REPETITION]: integer(WIRE.I32, nullable ? REPETITION.OPTIONAL : REPETITION.REQUIRED),
    [SCHEMA_ELEMENT.NAME]: binary(Buffer.from(name)),
    [SCHEMA_ELEMENT.CONVERTED_TYPE]: convertedType === undefined ? undefined : integer(WIRE.I32, convertedType),
    [SCHEMA_ELEMENT.LOGICAL_TYPE]: logicalType,
  });
}

function annotationOf(type: Field['type']): { convertedType?: number; logicalType?: ThriftStruct } {
  switch (type.typeId) {
    case Type.Utf8:
      return { convertedType: CONVERTED_TYPE.UTF8, logicalType: struct({ [LOGICAL_TYPE.STRING]: struct({}) }) };
    case Type.Date:
      return { convertedType: CONVERTED_TYPE.DATE, logicalType: struct({ [LOGICAL_TYPE.DATE]: struct({}) }) };
    case Type.Timestamp: {
      const timestamp = struct({
        [TIMESTAMP.IS_ADJUSTED_TO_UTC]: bool(type.timezone ? 1 : 2),
        [TIMESTAMP.UNIT]: struct({ [MILLIS]: struct({}) }),
      });
      return {
        convertedType: CONVERTED_TYPE.TIMESTAMP_MILLIS,
        logicalType: struct({ [LOGICAL_TYPE.TIMESTAMP]: timestamp }),
      };
    }
    default:
      return {};
  }
}
