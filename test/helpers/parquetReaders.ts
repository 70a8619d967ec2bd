/** pyarrow and DataFusion behind one Python process, which reads one Parquet file after the other. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pythonWithParquetReaders } from './servers.ts';

/** What pyarrow found in a column. */
export interface ReadColumn {
  /** MD5 of the values as text, a line each; `null` for none. Doubles are the 16 digits of their bits. */
  readonly checksum: string;
  /** The same, where asked for. */
  readonly values?: readonly (string | null)[];
  readonly rowGroups: readonly {
    readonly rows: number;
    readonly nulls: number;
    readonly hasBounds: boolean;
    readonly codec: string;
    readonly encodings: readonly string[];
    readonly hasColumnIndex: boolean;
    readonly hasOffsetIndex: boolean;
  }[];
}

/** A column, how it is compared, and the value as `ReadColumn` has it. */
export type Filter = readonly [column: string, operator: '=' | '<' | '>' | 'null', value: string | null];

/** Rows that match, found with what the file offers to find them, and without; null where the file could not be read. */
export interface Matches {
  readonly pyarrow: number | null;
  readonly pyarrowInMemory: number | null;
  readonly datafusion: number | null;
  readonly datafusionReadingAll: number | null;
}

export interface ParquetReaders {
  /** Reads all values and checks every page against its CRC. @throws Error in pyarrow's words. */
  read(path: string, columns: readonly string[], values?: boolean): Promise<Record<string, ReadColumn>>;
  /** For each filter. */
  count(path: string, filters: readonly Filter[]): Promise<Matches[]>;
  close(): void;
}

export async function startParquetReaders(): Promise<ParquetReaders> {
  const script = fileURLToPath(new URL('./python/read_parquet.py', import.meta.url));
  const child = spawn(await pythonWithParquetReaders(), [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other: an answer has no name. */
  function ask<T>(request: object): Promise<T> {
    const answer = last.then(async () => {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const line = await lines.next();
      if (line.done) throw new Error(`${script} ended with ${child.exitCode}`);
      const result = JSON.parse(line.value) as { readonly answer: T; readonly error?: string };
      if (result.error !== undefined) throw new Error(result.error);
      return result.answer;
    });
    last = answer.catch(() => undefined);
    return answer;
  }
  return {
    read: (path, columns, values = false) => ask({ path, columns, values }),
    count: (path, filters) => ask({ path, filters }),
    close: () => child.stdin.end(),
  };
}
