/** The schema of flat columns, to the byte as parquet-wasm writes it: files of either must go together. */
import { type Field, type Schema, Type } from 'apache-arrow';
import { FILE_META_DATA, SCHEMA_ELEMENT } from '../format.ts';
import { binary, bool, fieldOf, integer, list, struct, type ThriftStruct, WIRE } from '../thrift.ts';
import { LIST_GROUP, listFields } from './listColumn.ts';
import { flatPhysicalType } from './values.ts';

const VERSION = 1;
const ROOT_NAME = 'arrow_schema';
const REPETITION = { REQUIRED: 0, OPTIONAL: 1, REPEATED: 2 } as const;
const CONVERTED_TYPE = { UTF8: 0, LIST: 3, DATE: 6, TIMESTAMP_MILLIS: 9 } as const;
/** Field ids of the union LogicalType, of TimestampType and of the union TimeUnit. */
const LOGICAL_TYPE = { STRING: 1, LIST: 3, DATE: 6, TIMESTAMP: 8 } as const;
const TIMESTAMP = { IS_ADJUSTED_TO_UTC: 1, UNIT: 2 } as const;
const MILLIS = 1;
/** Field id of the union ColumnOrder: the order that the type defines. */
const TYPE_ORDER = 1;

/** A FileMetaData without row groups; undefined if a column is not flat. */
export function flatFooter(schema: Schema): ThriftStruct | undefined {
  const columns: ThriftStruct[] = [];
  for (const field of schema.fields) {
    const elements = elementsOf(field);
    if (!elements) return undefined;
    columns.push(...elements);
  }
  const leaves = columns.filter((element) => fieldOf(element, SCHEMA_ELEMENT.NUM_CHILDREN) === undefined);
  const root = struct({
    [SCHEMA_ELEMENT.NAME]: binary(Buffer.from(ROOT_NAME)),
    [SCHEMA_ELEMENT.NUM_CHILDREN]: integer(WIRE.I32, schema.fields.length),
  });
  return struct({
    [FILE_META_DATA.VERSION]: integer(WIRE.I32, VERSION),
    [FILE_META_DATA.SCHEMA]: list(WIRE.STRUCT, [root, ...columns]),
    [FILE_META_DATA.NUM_ROWS]: integer(WIRE.I64, 0),
    [FILE_META_DATA.ROW_GROUPS]: list(WIRE.STRUCT, []),
    [FILE_META_DATA.COLUMN_ORDERS]: list(
      WIRE.STRUCT,
      leaves.map(() => struct({ [TYPE_ORDER]: struct({}) })),
    ),
  });
}

/** The elements of a column, depth first. */
function elementsOf(field: Field): ThriftStruct[] | undefined {
  const physicalType = flatPhysicalType(field.type);
  if (physicalType !== undefined) return [schemaElement(field, physicalType)];
  const fields = listFields(field.type);
  const element: Field | undefined = field.type.children?.[0];
  if (!fields || !element) return undefined;
  const list = struct({
    [SCHEMA_ELEMENT.REPETITION]: integer(WIRE.I32, field.nullable ? REPETITION.OPTIONAL : REPETITION.REQUIRED),
    [SCHEMA_ELEMENT.NAME]: binary(Buffer.from(field.name)),
    [SCHEMA_ELEMENT.NUM_CHILDREN]: integer(WIRE.I32, 1),
    [SCHEMA_ELEMENT.CONVERTED_TYPE]: integer(WIRE.I32, CONVERTED_TYPE.LIST),
    [SCHEMA_ELEMENT.LOGICAL_TYPE]: struct({ [LOGICAL_TYPE.LIST]: struct({}) }),
  });
  const leaves = fields.flatMap((leaf) => elementsOf(leaf) ?? []);
  return [
    list,
    group(LIST_GROUP, REPETITION.REPEATED, 1),
    group(element.name, REPETITION.REQUIRED, leaves.length),
    ...leaves,
  ];
}

function group(name: string, repetition: number, children: number): ThriftStruct {
  return struct({
    [SCHEMA_ELEMENT.REPETITION]: integer(WIRE.I32, repetition),
    [SCHEMA_ELEMENT.NAME]: binary(Buffer.from(name)),
    [SCHEMA_ELEMENT.NUM_CHILDREN]: integer(WIRE.I32, children),
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
