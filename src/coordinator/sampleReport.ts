import type { RecordBatch, Schema } from 'apache-arrow';
import type { SampleJob } from '../config/sampleJob.ts';
import { bindJsonObject } from '../encode/json/jsonRows.ts';
import { ByteWriter } from '../encode/output/byteWriter.ts';
import { printable } from '../printable.ts';
import { formatTable, TableCollector } from '../sinks/console.ts';
import { typeName } from '../transform/typeName.ts';
import { describeTopics } from './describeTopics.ts';

/** A column of the rows, as the tables of types in the README name it. */
export interface SampledColumn {
  readonly name: string;
  readonly type: string;
  /** False: no row can have null there. */
  readonly nullable: boolean;
}

/** What `kafkaload sample` found. */
export interface SampleReport {
  readonly config: string;
  /** Topics that were read. */
  readonly topics: readonly string[];
  /** That were read, and the partitions they stand in. */
  readonly messages: number;
  readonly partitions: number;
  readonly schema: readonly SampledColumn[];
  /** That `fields` and the transform made of the messages. */
  readonly rows: number;
  /** All rows: a table, or for `--report json` an array of objects. */
  readonly shown: string;
}

const JSON_SETTINGS = { dateFormat: null, timestampFormat: null, ignoreNullFields: false };

export function describeColumns({ fields }: Schema): SampledColumn[] {
  return fields.map(({ name, type, nullable }) => ({ name, type: typeName(type), nullable }));
}

/**
 * @param batches Valid until the next one is asked for.
 * @throws OffloadError TARGET_UNSUITABLE for a column that cannot be shown.
 */
export async function collectRows(
  batches: AsyncIterable<RecordBatch>,
  { report, truncate }: Pick<SampleJob, 'report' | 'truncate'>,
): Promise<Pick<SampleReport, 'rows' | 'shown'>> {
  if (report === 'json') {
    const lines: string[] = [];
    for await (const batch of batches) lines.push(...jsonLines(batch));
    return { rows: lines.length, shown: lines.length === 0 ? '[]' : `[\n    ${lines.join(',\n    ')}\n  ]` };
  }
  const collector = new TableCollector(Number.POSITIVE_INFINITY);
  for await (const batch of batches) collector.add(batch);
  const { table } = collector;
  return { rows: table.rows.length, shown: await formatTable(table, truncate) };
}

/** As files of JSON have them: 64-bit numbers exact. */
function jsonLines(batch: RecordBatch): string[] {
  const out = new ByteWriter();
  const put = bindJsonObject(batch, out, JSON_SETTINGS);
  return Array.from({ length: batch.numRows }, (_, row) => {
    out.clear();
    put(row);
    return out.written().toString();
  });
}

/** One JSON document with a final line feed. */
export function formatSampleJson({ rows: _, shown, ...report }: SampleReport): string {
  // Not parsed and written again: that would round numbers.
  return `${JSON.stringify(report, null, 2).slice(0, -2)},\n  "rows": ${shown}\n}\n`;
}

/** For people; several lines without a final line feed. */
export function formatSample(report: SampleReport): string {
  const { config, topics, messages, partitions, rows, schema, shown } = report;
  const width = Math.max(...schema.map(({ name }) => printable(name).length));
  const columns = schema.map(({ name, type, nullable }) => {
    return `  ${printable(name).padEnd(width)}  ${printable(type)}${nullable ? '' : ' NOT NULL'}`;
  });
  const where = `${describeTopics(topics)}`;
  const what =
    messages === 0
      ? `${config}: no messages in ${where}`
      : `${config}: ${count(rows, 'row')} of the last ${count(messages, 'message')} in ${count(partitions, 'partition')} of ${where}`;
  const hint = messages > 0 && rows === 0 ? '; --limit reads more' : '; offsets were not saved';
  return [...(rows > 0 ? [shown] : []), `${what}${hint}`, 'columns', ...columns].join('\n');
}

function count(value: number, noun: string): string {
  return `${value.toLocaleString('en-US')} ${noun}${value === 1 ? '' : 's'}`;
}
