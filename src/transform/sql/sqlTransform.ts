/** SQL over batches, by DuckDB in this thread. */
import type { Schema } from 'apache-arrow';
import { OffloadError } from '../../errors.ts';
import type { BatchTransform, OpenTransformOptions, SqlSettings } from '../batchTransform.ts';

export async function openSqlTransform(
  settings: SqlSettings,
  _input: Schema,
  _options: OpenTransformOptions,
): Promise<BatchTransform> {
  throw new OffloadError('TRANSFORM_INVALID', `${settings.where}: SQL is not built yet`);
}
