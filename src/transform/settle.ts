/** User code says what columns it gives by giving them: it is run on the first rows before a run begins. */
import type { RecordBatch, Schema } from 'apache-arrow';
import type { RowPlace, TransformSettings } from './batchTransform.ts';

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
 * @returns Settings whose columns are known.
 * @throws OffloadError TRANSFORM_INVALID, TRANSFORM_FAILED
 */
export async function settleTransform<Settings extends TransformSettings | null>(
  settings: Settings,
  input: Schema,
  samples: () => Promise<readonly Sample[]>,
): Promise<Settings> {
  return isUnsettled(settings) ? ((await settle(settings, input, await samples())) as Settings) : settings;
}

async function settle(
  settings: TransformSettings | null,
  input: Schema,
  samples: readonly Sample[],
): Promise<TransformSettings | null> {
  if (settings?.kind === 'module') {
    const { sampleModule } = await import('./module/moduleTransform.ts');
    return sampleModule(settings, input, samples[0] ?? null);
  }
  if (settings?.kind !== 'deserializers') return settings;
  const { openDeserializers, sampleDeserializers } = await import('./module/deserializers.ts');
  const typed = await sampleDeserializers(settings, samples);
  if (typed.next === null) return typed;
  const { sampleModule } = await import('./module/moduleTransform.ts');
  const opened = await openDeserializers({ ...typed, next: null }, input);
  const [first] = samples;
  const sample = first ? { ...first, batch: await opened.apply(first.batch, first.place) } : null;
  return { ...typed, next: await sampleModule(typed.next, opened.schema, sample) };
}
