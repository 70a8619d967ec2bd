import type { MicroBench } from '../core/names.ts';
import { finishBench } from '../core/output.ts';
import type { Series } from '../core/results.ts';

/** One thread, one stage each. Imported when run: each loads another part of the product. */
const STAGES: Readonly<Record<MicroBench, () => Promise<readonly Series[]>>> = {
  decode: async () => [await (await import('./decode.ts')).benchDecode()],
  encode: async () => (await import('./encode.ts')).benchEncode(),
  produce: async () => [await (await import('./produce.ts')).benchProduce()],
};

export async function runMicro(names: readonly MicroBench[]): Promise<void> {
  const startedAt = new Date();
  const series: Series[] = [];
  for (const name of names) {
    console.log(`--- ${name}`);
    series.push(...(await STAGES[name]()));
  }
  finishBench(names.length === 1 ? (names[0] ?? 'micro') : 'micro', startedAt, series);
}
