/** User code says what columns it gives by giving them: it is run on the first rows before a run begins. */
import type { RecordBatch, Schema } from 'apache-arrow';
import { OffloadError } from '../errors.ts';
import { type RowWork, workOnGoodRows } from './badRows.ts';
import type { ModuleSettings, RowPlace, TransformSettings } from './batchTransform.ts';

export interface Sample {
  readonly batch: RecordBatch;
  readonly place: RowPlace;
}

/** Whether columns or types are still to be found. */
export function isUnsettled(settings: TransformSettings | null): boolean {
  switch (settings?.kind) {
    case 'module':
      return settings.columns === null;
    case 'deserializers':
      return isUnsettled(settings.next) || settings.columns.some(({ type }) => type === null);
    default:
      return false;
  }
}

/**
 * @param samples Asked for where user code has to be run; none if there are no rows.
 * @param leavesOut Bad rows teach nothing, and are no error as long as there are others.
 * @returns Settings whose columns are known.
 * @throws OffloadError TRANSFORM_INVALID, TRANSFORM_FAILED
 */
export async function settleTransform<Settings extends TransformSettings | null>(
  settings: Settings,
  input: Schema,
  samples: () => Promise<readonly Sample[]>,
  leavesOut = false,
): Promise<Settings> {
  return isUnsettled(settings) ? ((await settle(settings, input, await samples(), leavesOut)) as Settings) : settings;
}

async function settle(
  settings: TransformSettings | null,
  input: Schema,
  samples: readonly Sample[],
  leavesOut: boolean,
): Promise<TransformSettings | null> {
  if (settings?.kind === 'module') return settleModule(settings, input, samples[0] ?? null, leavesOut);
  if (settings?.kind !== 'deserializers') return settings;
  const { openDeserializers, sampleDeserializers } = await import('./module/deserializers.ts');
  const typed = await sampleDeserializers(settings, samples, leavesOut);
  if (typed.next === null) return typed;
  const opened = await openDeserializers({ ...typed, next: null }, input);
  const [first] = samples;
  const apply = async ({ batch, place }: Sample): Promise<Sample> => ({
    batch: await opened.apply(batch, place),
    place,
  });
  const find = async ({ batch, place }: Sample) => (await opened.findBadRows?.(batch, place)) ?? null;
  const sample = first ? await ofGoodRows(first, apply, leavesOut, find) : null;
  return { ...typed, next: await settleModule(typed.next, opened.schema, sample, leavesOut) };
}

async function settleModule(
  settings: ModuleSettings,
  input: Schema,
  sample: Sample | null,
  leavesOut: boolean,
): Promise<ModuleSettings> {
  const { sampleModule } = await import('./module/moduleTransform.ts');
  if (sample === null) return sampleModule(settings, input, null);
  return ofGoodRows(sample, (rows) => sampleModule(settings, input, rows), leavesOut);
}

/** @throws OffloadError what the first row fails with, where all do. */
async function ofGoodRows<Result>(
  sample: Sample,
  make: (rows: Sample) => Promise<Result>,
  leavesOut: boolean,
  find?: RowWork<Result>['find'],
): Promise<Result> {
  if (!leavesOut || sample.batch.numRows === 0) return make(sample);
  const { made, bad } = await workOnGoodRows(sample, { make, check: make, ...(find && { find }) });
  if (made === null) throw bad[0]?.error ?? new OffloadError('INTERNAL', 'no row is good, and none is bad');
  return made;
}
