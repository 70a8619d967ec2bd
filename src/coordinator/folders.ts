import type { Schema } from 'apache-arrow';
import type { TargetSettings } from '../config/job.ts';
import type { PartitionColumn } from '../config/partitionBy.ts';
import type { BatchEncoder } from '../encode/encoder.ts';
import type { FolderEncoder } from '../stage/folderSegments.ts';

/**
 * @param schema Asked for where it is needed.
 * @throws OffloadError USAGE if the rows lack a column that they are to be divided by.
 */
export async function checkFolders({ partitionBy }: TargetSettings, schema: () => Promise<Schema>): Promise<void> {
  if (partitionBy.length === 0) return;
  const { planPartitioning } = await import('../partition/partitioning.ts');
  planPartitioning(partitionBy, await schema());
}

/** Loaded here: most runs have no folders to divide rows into. */
export async function openFolders(
  settings: { encoder: BatchEncoder; mostRows: number; partitionBy: readonly PartitionColumn[] },
  schema: Schema,
): Promise<FolderEncoder> {
  const [{ FolderEncoder: Encoder }, { planPartitioning }] = await Promise.all([
    import('../stage/folderSegments.ts'),
    import('../partition/partitioning.ts'),
  ]);
  const { encoder, mostRows, partitionBy } = settings;
  return new Encoder(encoder, planPartitioning(partitionBy, schema), mostRows);
}
