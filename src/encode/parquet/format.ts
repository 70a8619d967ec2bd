/**
 * Field ids of the Thrift structs in a Parquet footer that this code reads, changes or writes, and of page headers.
 *
 * @see https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
 */

export const FILE_META_DATA = {
  VERSION: 1,
  SCHEMA: 2,
  NUM_ROWS: 3,
  ROW_GROUPS: 4,
  KEY_VALUE_METADATA: 5,
  CREATED_BY: 6,
  COLUMN_ORDERS: 7,
  ENCRYPTION_ALGORITHM: 8,
  FOOTER_SIGNING_KEY_METADATA: 9,
} as const;

export const SCHEMA_ELEMENT = {
  TYPE: 1,
  REPETITION: 3,
  NAME: 4,
  NUM_CHILDREN: 5,
  CONVERTED_TYPE: 6,
  LOGICAL_TYPE: 10,
} as const;

export const ROW_GROUP = {
  COLUMNS: 1,
  TOTAL_BYTE_SIZE: 2,
  NUM_ROWS: 3,
  FILE_OFFSET: 5,
  TOTAL_COMPRESSED_SIZE: 6,
  ORDINAL: 7,
} as const;

export const COLUMN_CHUNK = {
  FILE_PATH: 1,
  FILE_OFFSET: 2,
  META_DATA: 3,
  OFFSET_INDEX_OFFSET: 4,
  OFFSET_INDEX_LENGTH: 5,
  COLUMN_INDEX_OFFSET: 6,
  COLUMN_INDEX_LENGTH: 7,
  CRYPTO_METADATA: 8,
  ENCRYPTED_COLUMN_METADATA: 9,
} as const;

export const COLUMN_META_DATA = {
  TYPE: 1,
  ENCODINGS: 2,
  PATH_IN_SCHEMA: 3,
  CODEC: 4,
  NUM_VALUES: 5,
  TOTAL_UNCOMPRESSED_SIZE: 6,
  TOTAL_COMPRESSED_SIZE: 7,
  DATA_PAGE_OFFSET: 9,
  INDEX_PAGE_OFFSET: 10,
  DICTIONARY_PAGE_OFFSET: 11,
  STATISTICS: 12,
  ENCODING_STATS: 13,
  BLOOM_FILTER_OFFSET: 14,
} as const;

export const STATISTICS = {
  /** Of old readers; some writers still give them beside the others. */
  OLD_MAX: 1,
  OLD_MIN: 2,
  NULL_COUNT: 3,
  MAX_VALUE: 5,
  MIN_VALUE: 6,
  IS_MAX_VALUE_EXACT: 7,
  IS_MIN_VALUE_EXACT: 8,
} as const;

export const COLUMN_INDEX = {
  NULL_PAGES: 1,
  MIN_VALUES: 2,
  MAX_VALUES: 3,
  BOUNDARY_ORDER: 4,
  NULL_COUNTS: 5,
} as const;

export const OFFSET_INDEX = { PAGE_LOCATIONS: 1 } as const;
export const PAGE_LOCATION = { OFFSET: 1, COMPRESSED_PAGE_SIZE: 2, FIRST_ROW_INDEX: 3 } as const;

/** How the bounds of the pages that have values follow one another. */
export const BOUNDARY_ORDER = { UNORDERED: 0, ASCENDING: 1, DESCENDING: 2 } as const;

export const PAGE_ENCODING_STATS = { PAGE_TYPE: 1, ENCODING: 2, COUNT: 3 } as const;

/** Physical types, as SchemaElement.type and ColumnMetaData.type number them. */
export const PHYSICAL_TYPE = {
  BOOLEAN: 0,
  INT32: 1,
  INT64: 2,
  FLOAT: 4,
  DOUBLE: 5,
  BYTE_ARRAY: 6,
} as const;

/** Ids in the header in front of each page. */
export const PAGE_HEADER = {
  TYPE: 1,
  UNCOMPRESSED_SIZE: 2,
  COMPRESSED_SIZE: 3,
  CRC: 4,
  DATA_PAGE_HEADER: 5,
  DICTIONARY_PAGE_HEADER: 7,
} as const;
export const DATA_PAGE_HEADER = { NUM_VALUES: 1, ENCODING: 2, DEFINITION_LEVELS: 3, REPETITION_LEVELS: 4 } as const;
export const DICTIONARY_PAGE_HEADER = { NUM_VALUES: 1, ENCODING: 2 } as const;

export const PAGE_TYPE = { DATA: 0, DICTIONARY: 2 } as const;

export const ENCODING = { PLAIN: 0, RLE: 3, DELTA_BINARY_PACKED: 5, RLE_DICTIONARY: 8 } as const;

/** What a file begins and ends with; the encrypted form has another. */
export const MAGIC = Buffer.from('PAR1');
export const ENCRYPTED_MAGIC = Buffer.from('PARE');
