/**
 * Which partition a key belongs to, as Kafka's Java producer has it by default (murmur2 of the key, sign bit cleared,
 * modulo), so that records of other tools with the same key meet ours in one partition.
 *
 * @see org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey
 */
export function partitionForKey(key: string, partitions: number): number {
  return partitionOfHash(murmur2(Buffer.from(key, 'utf8')), partitions);
}

export function partitionOfHash(hash: number, partitions: number): number {
  return (hash & 0x7fffffff) % partitions;
}

/** 32-bit MurmurHash2 of `bytes[start] ... bytes[end - 1]` with Kafka's seed, as a signed number. */
export function murmur2(bytes: Uint8Array, start = 0, end = bytes.length): number {
  const multiplier = 0x5bd1e995;
  const rest = (end - start) & 3;
  const wholeEnd = end - rest;
  let hash = 0x9747b28c ^ (end - start);
  for (let at = start; at < wholeEnd; at += 4) {
    let word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    word = Math.imul(word, multiplier);
    word = Math.imul(word ^ (word >>> 24), multiplier);
    hash = Math.imul(hash, multiplier) ^ word;
  }
  for (let index = rest - 1; index >= 0; index--) hash ^= (bytes[wholeEnd + index] as number) << (8 * index);
  if (rest > 0) hash = Math.imul(hash, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return (hash ^ (hash >>> 15)) | 0;
}
