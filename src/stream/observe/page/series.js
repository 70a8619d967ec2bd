/** The samples, and what holds now. */
export function seriesOf({ samples, status }, pick, now) {
  const past = samples.map((sample) => ({ atMs: sample.atMs, value: pick(sample) }));
  return [...past.filter(({ atMs }) => atMs < status.atMs), { atMs: status.atMs, value: now }];
}
