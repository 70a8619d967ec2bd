import { OffloadError } from '../errors.ts';
import type { GroupSettings } from './kafkaSettings.ts';
import type { Properties } from './properties.ts';
import { readBoundedNumber, readCount } from './propertyValues.ts';

/** Properties of a consumer group, and of what a micro-batch takes of it. Read for streams alone. */
export const GROUP_PROPERTIES = [
  ...['group.id', 'group.instance.id', 'session.timeout.ms', 'heartbeat.interval.ms', 'max.poll.interval.ms'],
  'maxOffsetsPerTrigger',
] as const;

/** As the Java client has them. */
const DEFAULTS = { sessionTimeoutMs: 45_000, heartbeatIntervalMs: 3_000, maxPollIntervalMs: 300_000 } as const;
const MOST_MS = 86_400_000;

/**
 * The consumer group of a stream.
 *
 * @param where Key under which `group.id` is missed: that of the access options, or the option that holds them.
 * @throws OffloadError CONFIG_INVALID naming the key.
 */
export function readGroup(
  properties: Properties,
  where: string,
): { readonly group: GroupSettings; readonly maxOffsetsPerTrigger: number | null } {
  const groupId = properties.get('group.id');
  if (groupId === undefined || groupId.value.trim() === '') {
    throw invalid(
      `${where}.group.id is missing: a stream keeps its place in a consumer group of Kafka, not in the saved offsets; name one there`,
    );
  }
  const number = (key: (typeof GROUP_PROPERTIES)[number], fallback: number): number =>
    readBoundedNumber(properties, key, [1, MOST_MS], fallback);
  const sessionTimeoutMs = number('session.timeout.ms', DEFAULTS.sessionTimeoutMs);
  const heartbeatIntervalMs = number(
    'heartbeat.interval.ms',
    Math.min(DEFAULTS.heartbeatIntervalMs, Math.max(1, Math.floor(sessionTimeoutMs / 3))),
  );
  if (heartbeatIntervalMs >= sessionTimeoutMs) {
    const key = properties.get('heartbeat.interval.ms')?.where ?? 'heartbeat.interval.ms';
    throw invalid(
      `${key} is ${heartbeatIntervalMs} and session.timeout.ms is ${sessionTimeoutMs}: a member would count as gone ` +
        'between two signs of life; set it to a third of the session at the most',
    );
  }
  return {
    group: {
      groupId: groupId.value,
      instanceId: properties.get('group.instance.id')?.value || null,
      sessionTimeoutMs,
      heartbeatIntervalMs,
      rebalanceTimeoutMs: number('max.poll.interval.ms', DEFAULTS.maxPollIntervalMs),
    },
    maxOffsetsPerTrigger: readCount(properties.get('maxOffsetsPerTrigger')),
  };
}

function invalid(message: string): OffloadError {
  return new OffloadError('CONFIG_INVALID', message);
}
