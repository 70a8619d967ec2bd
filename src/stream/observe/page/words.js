/** Figures as people read them. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat('en-US', { notation: 'compact', maximumFractionDigits: 1 });
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `12,345`. */
export function count(value) {
  return whole.format(value);
}

/** `12.3K`, for scales. */
export function short(value) {
  return value < 1000 ? String(Number(value.toPrecision(3))) : compact.format(value);
}

/** `1 row`, `12,345 rows`. */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** `4.5 MB`: decimal, as rates are given. */
export function megabytes(bytes) {
  const value = bytes / 1e6;
  return `${value < 100 ? value.toFixed(1) : count(value)} MB`;
}

/** `320 MiB`. */
export function size(bytes) {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${Number(value.toFixed(unit === 0 ? 0 : 1))} ${UNITS[unit]}`;
}

/** How long ago, or for how long: `4 s`, then as a duration. */
export function age(seconds) {
  return seconds < 10 ? `${Math.floor(seconds)} s` : duration(seconds);
}

/** `0.42 s`, `45 s`, `3 min`, `2 h 7 min`, `3 days 4 h`. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days ${hours % 24} h`;
}

/** Time of day where it is read. */
export function time(atMs) {
  return new Date(atMs).toLocaleTimeString('en-GB');
}
