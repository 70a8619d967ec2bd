/** Topic and partition together: everything that is known of partitions is kept by both, since several topics are read. */

export interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** `TOPIC/PARTITION`; a topic name holds no slash. */
export function offsetKey({ topic, partition }: Place): string {
  return `${topic}/${partition}`;
}

/** Topic, then partition order. */
export function comparePlaces(a: Place, b: Place): number {
  return a.topic === b.topic ? a.partition - b.partition : a.topic < b.topic ? -1 : 1;
}

/**
 * Entries keyed by partition, as reports show them.
 *
 * @param isNested By topic, then partition: where several topics are read, or may be.
 */
export function groupByPlace<Entry extends Place>(entries: readonly Entry[], isNested: boolean): object {
  const byTopic: Record<string, Record<number, Omit<Entry, keyof Place>>> = {};
  for (const { topic, partition, ...rest } of entries) {
    const own = byTopic[topic] ?? {};
    own[partition] = rest;
    byTopic[topic] = own;
  }
  return isNested ? byTopic : Object.assign({}, ...Object.values(byTopic));
}
