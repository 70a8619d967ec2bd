import type { Log } from '../../coordinator/log.ts';
import { oneLine } from '../../printable.ts';
import type { Observe, StreamEvent, TopicPartition } from '../types.ts';
import type { ObserverClock } from './types.ts';
import { countOf, durationOf, namesOf, rangesOf } from './words.ts';

/** An outage is said at once, then when it has lasted as long again, and at least every hour. */
const FIRST_REMINDER_MS = 30_000;
const MAX_REMINDER_MS = 3_600_000;

/**
 * One line for each micro-batch that moved data and for whatever changes; an outage is said once and then rarely.
 *
 * @param group Null: a stream of files.
 * @param lag Offsets that wait, over all partitions.
 */
export function createEventLog(log: Log, group: string | null, clock: ObserverClock, lag: () => number): Observe {
  const outages = { data: new Outage(log, clock), group: new Outage(log, clock) };
  return (event) => {
    switch (event.kind) {
      case 'joined': {
        const { memberId, generationId } = event.identity;
        const { rebalances } = event;
        outages.group.end();
        log.info(`joined group ${oneLine(group ?? '')}`, { member: memberId, generation: generationId, rebalances });
        break;
      }
      case 'assigned':
      case 'revoked':
        if (event.partitions.length > 0) log.info(partitionsLine(event), { partitions: event.partitions.length });
        break;
      case 'lost':
        log.warn(partitionsLine(event), { partitions: event.partitions.length });
        break;
      case 'written':
        logWritten(log, event, lag());
        break;
      case 'abandoned':
        log.warn(`micro-batch ${event.batch.number} was abandoned: ${oneLine(event.why)}`, {
          batch: event.batch.number,
          ranges: rangesOf(event.batch.ranges),
        });
        break;
      case 'waiting':
        outages[event.of ?? 'data'].wait(event);
        break;
      case 'resumed':
        outages[event.of ?? 'data'].end();
        break;
      case 'stopping':
        log.info(`stopping: ${oneLine(event.why)}`);
        break;
      case 'begun':
      case 'progress':
      case 'lag':
        break;
    }
  };
}

type PartitionsEvent = Extract<
  StreamEvent,
  { readonly partitions: readonly TopicPartition[]; readonly kind: string }
> & {
  readonly kind: keyof typeof WHAT;
};

const WHAT = {
  assigned: 'are ours now',
  revoked: 'went to another member',
  lost: 'are lost: the group went on without this member',
};

function partitionsLine({ kind, partitions }: PartitionsEvent): string {
  return `${countOf(partitions.length, 'partition')} ${WHAT[kind]}: ${namesOf(partitions)}`;
}

function logWritten(log: Log, event: Extract<StreamEvent, { kind: 'written' }>, lag: number): void {
  const { batch, outcome, seconds } = event;
  const { rows, bytes, files, name, badRecords } = outcome;
  const context = {
    ...{ batch: batch.number, name, rows, bytes, files: files.length, ranges: rangesOf(batch.ranges) },
    ...{ seconds: Number(seconds.toFixed(3)), lag },
    ...(badRecords > 0 ? { badRecords } : {}),
  };
  const where = files.length > 0 ? ` in ${countOf(files.length, 'file')}` : '';
  const line = `micro-batch ${batch.number}: ${countOf(rows, 'row')}${where}`;
  if (rows + badRecords > 0) log.info(line, context);
  else log.debug(line, context);
}

class Outage {
  readonly #log: Log;
  readonly #clock: ObserverClock;
  #code: string | null = null;
  #sinceMs = 0;
  #nextMs = 0;
  #gapMs = FIRST_REMINDER_MS;

  constructor(log: Log, clock: ObserverClock) {
    this.#log = log;
    this.#clock = clock;
  }

  wait({ code, message, attempt, retryInMs }: Extract<StreamEvent, { kind: 'waiting' }>): void {
    const nowMs = this.#clock.monotonicMs();
    const isFirst = this.#code === null;
    if (isFirst) {
      this.#sinceMs = nowMs;
      this.#gapMs = FIRST_REMINDER_MS;
      this.#nextMs = nowMs + this.#gapMs;
    } else if (nowMs >= this.#nextMs) {
      this.#gapMs = Math.min(MAX_REMINDER_MS, this.#gapMs * 2);
      this.#nextMs = nowMs + this.#gapMs;
    } else if (code === this.#code) return;
    this.#code = code;
    const head = isFirst
      ? 'waiting, and trying again'
      : `still waiting after ${durationOf((nowMs - this.#sinceMs) / 1000)}`;
    this.#log.warn(`${head}: ${oneLine(message)}`, { code, attempt, retryInMs: Math.round(retryInMs) });
  }

  /** Nothing is said where nothing was waited for. */
  end(): void {
    if (this.#code === null) return;
    const afterMs = this.#clock.monotonicMs() - this.#sinceMs;
    this.#log.info(`goes on after ${durationOf(afterMs / 1000)}`, { afterMs: Math.round(afterMs) });
    this.#code = null;
  }
}
