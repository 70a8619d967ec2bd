/** The kinds of files that a chain of crashes (crashChain.ts) writes, and how DuckDB reads what is visible of them. */
import { join } from 'node:path';
import { type OffsetsMode, query } from './workspace.ts';

export const PARTITIONS = [0, 1] as const;
/** Rows a run takes of each partition. */
export const BATCH = 12;
export const LAYOUTS = ['folder', 'exact file', 'partitioned', 'N files'] as const;
export type Layout = (typeof LAYOUTS)[number];
export const WRITE_MODES = ['Append', 'Overwrite'] as const;

export interface Combination {
  readonly layout: Layout;
  readonly writeMode: (typeof WRITE_MODES)[number];
  readonly mode: OffsetsMode;
}

/** What each layout adds to the command line, and how DuckDB finds its files below the folder of the job. */
export const LAYOUT_ARGS: Readonly<Record<Layout, { readonly args: readonly string[]; readonly files: string }>> = {
  folder: { args: ['--workers', '1', '--write-path', 'out'], files: 'out/*.parquet' },
  'exact file': {
    args: ['--workers', '1', '--write-coalesce', '1', '--write-path', 'out/one.parquet'],
    files: 'out/one.parquet',
  },
  partitioned: {
    args: ['--workers', '1', '--write-partition-by', 'partition', '--write-path', 'out'],
    files: 'out/*/*.parquet',
  },
  'N files': { args: ['--workers', '2', '--write-coalesce', '3', '--write-path', 'out'], files: 'out/*.parquet' },
};

export interface VisibleRows {
  readonly rows: number;
  readonly distinct: number;
  /** Rows whose value is not the one that was sent. */
  readonly wrong: number;
  readonly first: number;
  readonly last: number;
  /** Rows by batch. */
  readonly batches: ReadonlyMap<number, number>;
}

/** Reads all visible rows, by the batch they belong to. */
export async function readRows(folder: string, layout: Layout): Promise<VisibleRows> {
  const none = { rows: 0, distinct: 0, wrong: 0, first: -1, last: -1, batches: new Map<number, number>() };
  const { files } = LAYOUT_ARGS[layout];
  const found = `read_parquet('${join(folder, files)}', hive_partitioning = ${files.includes('*/*')})`;
  const sql = `SELECT "offset" // ${BATCH} AS batch, count(*)::INTEGER AS rows,
      count(DISTINCT ("partition", "offset"))::INTEGER AS distinct_rows,
      count(*) FILTER (value <> 'value ' || ("offset" * 2 + "partition"))::INTEGER AS wrong,
      min("offset")::INTEGER AS first, max("offset")::INTEGER AS last
    FROM ${found} GROUP BY 1 ORDER BY 1`;
  const groups = await query(sql).catch((error: unknown) => {
    if (String(error).includes('No files found')) return [];
    throw error;
  });
  const total = (name: string): number => groups.reduce((sum, group) => sum + Number(group[name]), 0);
  if (groups.length === 0) return none;
  return {
    ...{ rows: total('rows'), distinct: total('distinct_rows'), wrong: total('wrong') },
    first: Number(groups[0]?.first),
    last: Number(groups.at(-1)?.last),
    batches: new Map(groups.map((group) => [Number(group.batch), Number(group.rows)])),
  };
}
