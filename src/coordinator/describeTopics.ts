const NAMES_SHOWN = 5;

/** `topic orders`, `topics clicks, orders`, `12 topics (a, b, c, d, e and more)`: for messages. */
export function describeTopics(topics: readonly string[]): string {
  if (topics.length === 0) return 'its topics';
  if (topics.length === 1) return `topic ${topics[0]}`;
  if (topics.length <= NAMES_SHOWN) return `topics ${topics.join(', ')}`;
  return `${topics.length} topics (${topics.slice(0, NAMES_SHOWN).join(', ')} and more)`;
}
