/** Which points a sweep has: one thing varies, all others are those of the standard topic. */
import { type SweepName, TOPIC_CODECS, type TopicCodec } from '../core/names.ts';
import type { TopicShape } from '../core/topic.ts';

export interface Sweep {
  readonly name: SweepName;
  readonly points: readonly SweepPoint[];
}

export interface SweepPoint {
  /** The value of what varies, with its unit where it has one. */
  readonly label: string;
  /** Rows to read: the first of a topic that may have more. */
  readonly rows: number;
  readonly partitions: number;
  readonly codec: TopicCodec;
  readonly valueBytes: number | null;
  /** More of the command line. */
  readonly more: readonly string[];
}

const SIZES = [50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
const PARTITIONS = [1, 2, 4, 8, 16, 32, 64];
/** Of the number of messages asked for: 0.5 M to 16 M of 4 M. */
const GROWTH = [1 / 8, 1 / 4, 1 / 2, 1, 2, 4];
const STANDARD = { partitions: 8, codec: 'lz4', valueBytes: null, more: [] } as const;
/** Bytes that each point of the sweep over sizes reads, for each message asked for. */
const BYTES_EACH = 95;

/**
 * @param messages Of the standard topic; points have fractions and multiples of it.
 * @param cores Workers are raised up to their number.
 */
export function planSweeps(names: readonly SweepName[], messages: number, cores: number): Sweep[] {
  return names.map((name) => ({ name, points: pointsOf(name, messages, cores) }));
}

function pointsOf(name: SweepName, messages: number, cores: number): SweepPoint[] {
  const half = { ...STANDARD, rows: Math.ceil(messages / 2) };
  const whole = { ...STANDARD, rows: messages };
  const workers = Array.from({ length: cores }, (_, index) => String(index + 1));
  const points = {
    size: () =>
      SIZES.map((bytes): SweepPoint => {
        const rows = Math.min(messages, Math.ceil((messages * BYTES_EACH) / bytes));
        return { ...STANDARD, label: String(bytes), rows, valueBytes: bytes };
      }),
    partitions: () => PARTITIONS.map((partitions) => ({ ...half, label: String(partitions), partitions })),
    codec: () => TOPIC_CODECS.map((codec) => ({ ...half, label: codec, codec })),
    messages: () =>
      GROWTH.map((factor) => {
        const rows = Math.ceil(messages * factor);
        return { ...STANDARD, label: String(rows), rows };
      }),
    workers: () => workers.map((count) => ({ ...whole, label: count, more: ['--workers', count] })),
    'workers-zstd': () =>
      workers.map((count): SweepPoint => {
        const more = ['--workers', count, '--write-options', 'compression=zstd'];
        return { ...whole, label: count, codec: 'zstd', more };
      }),
    memory: () => [
      { ...whole, label: 'default' },
      { ...whole, label: '128MiB', more: ['--max-memory', '128MiB'] },
    ],
  } satisfies Record<SweepName, () => SweepPoint[]>;
  return points[name]();
}

/** Key of the topic that a point reads: points that differ in rows alone share one. */
export function topicKey({ partitions, codec, valueBytes }: SweepPoint): string {
  return `${partitions}/${codec}/${valueBytes ?? 'events'}`;
}

/** Topics for all points, each as long as the longest of its points needs it. */
export function topicsOf(sweeps: readonly Sweep[]): Map<string, TopicShape> {
  const shapes = new Map<string, TopicShape>();
  for (const point of sweeps.flatMap(({ points }) => points)) {
    const { rows, partitions, codec, valueBytes } = point;
    const messages = Math.max(rows, shapes.get(topicKey(point))?.messages ?? 0);
    shapes.set(topicKey(point), { messages, partitions, codec, valueBytes });
  }
  return shapes;
}
