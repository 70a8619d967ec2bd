/**
 * The rows of a batch as a table of DuckDB: a table function that fills DuckDB's chunks from the Arrow buffers while a
 * query runs. Neither files nor access to files is needed. Measured: 20 ms for 250,000 rows of 180 bytes (November 2026).
 */
import * as duckdb from '@duckdb/node-api';
import bindings from '@duckdb/node-bindings';
import type { Data } from 'apache-arrow';
import type { ColumnField, ColumnType, ScalarType } from '../../config/sparkSchema.ts';
import { messageOf } from '../../errors.ts';
import { writeVector } from './vectorWriter.ts';

/** Rows that a chunk has room for. */
const CHUNK_ROWS = 2048;
/** A chunk of large rows holds fewer: their bytes are copied, all of them before the first is used. */
const CHUNK_BYTES = 4 * 1024 * 1024;

export class InputTable {
  #data: readonly Data[] = [];
  #from = 0;
  #to = 0;
  /** Of the query that runs: its columns, and its next row. */
  #projected: readonly number[] = [];
  #next = 0;

  /** Makes the table function `name` known. */
  constructor(connection: duckdb.DuckDBConnection, name: string, columns: readonly ColumnField[]) {
    const table = duckdb.DuckDBTableFunction.create({
      name,
      supportsProjectionPushdown: true,
      bindFunction: (info) => {
        for (const column of columns) info.addResultColumn(column.name, duckdbType(column.type));
      },
      initFunction: (info) => {
        this.#projected = info.getColumnIndexes();
        this.#next = this.#from;
      },
      mainFunction: (info, chunk) => {
        try {
          this.#fill(chunk);
        } catch (error) {
          info.setError(messageOf(error));
        }
      },
    });
    connection.registerTableFunction(table);
  }

  /** From now on, rows `from` to `to` of these columns are the table. */
  set(data: readonly Data[], from: number, to: number): void {
    this.#data = data;
    this.#from = from;
    this.#to = to;
  }

  #fill(chunk: duckdb.DuckDBDataChunk): void {
    const from = this.#next;
    // A query that uses no column at all asks for one that is none.
    const wanted = this.#projected.map((column) => this.#data[column]);
    const to = endOfChunk(wanted, from, Math.min(this.#to, from + CHUNK_ROWS));
    wanted.forEach((data, i) => {
      if (data) writeVector(bindings.data_chunk_get_vector(chunk.chunk, i), data, from, to);
    });
    chunk.rowCount = to - from;
    this.#next = to;
  }
}

function endOfChunk(columns: readonly (Data | undefined)[], from: number, most: number): number {
  let to = most;
  for (const data of columns) {
    const offsets = data?.children.length === 0 ? (data.valueOffsets as Int32Array | undefined) : undefined;
    if (!offsets || offsets.length === 0) continue;
    while (to > from + 1 && (offsets[to] as number) - (offsets[from] as number) > CHUNK_BYTES) {
      to = from + ((to - from) >>> 1);
    }
  }
  return to;
}

const SCALARS: Readonly<Record<Exclude<ScalarType, 'NULL'>, duckdb.DuckDBType>> = duckdb;

function duckdbType(type: ColumnType): duckdb.DuckDBType {
  if (typeof type === 'string') {
    // A column without a type of its own has nulls only.
    return type === 'NULL' ? duckdb.INTEGER : SCALARS[type];
  }
  switch (type.kind) {
    case 'decimal':
      return duckdb.DECIMAL(type.precision, type.scale);
    case 'list':
      return duckdb.LIST(duckdbType(type.item));
    case 'map':
      return duckdb.MAP(duckdbType(type.key), duckdbType(type.value));
    case 'struct':
      return duckdb.STRUCT(Object.fromEntries(type.fields.map((field) => [field.name, duckdbType(field.type)])));
  }
}
