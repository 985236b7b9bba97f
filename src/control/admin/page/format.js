// Numbers and words as people read them. Everything that may be missing becomes a dash.

export const NONE = '–';

/** Whether a number is there. */
export const known = (value) => typeof value === 'number' && Number.isFinite(value);

/** The greatest of the known numbers, at least `floor`; of any number of them. */
export const greatest = (values, floor) => values.reduce((most, value) => (known(value) && value > most ? value : most), floor);

/** Three significant digits, and a `k` or `M` where there would be more. */
export function count(value) {
  if (!known(value)) return NONE;
  const [scaled, unit] = value >= 1e6 ? [value / 1e6, 'M'] : value >= 1e4 ? [value / 1e3, 'k'] : [value, ''];
  const digits = scaled === 0 || scaled >= 100 || (unit === '' && Number.isInteger(scaled)) ? 0 : scaled >= 10 ? 1 : 2;
  return scaled.toFixed(digits) + unit;
}

/** A rate per second, with a decimal only where it says something. */
export function rate(value) {
  if (!known(value)) return NONE;
  return value >= 1e4 ? count(value) : value.toFixed(value > 0 && value < 10 ? 1 : 0);
}

/** A fraction of one in percent. */
export function percent(fraction) {
  if (!known(fraction)) return NONE;
  const value = fraction * 100;
  const digits = value === 0 || value >= 9.95 ? 0 : value >= 0.1 ? 1 : 2;
  return `${value.toFixed(digits)}\u202f%`;
}

/** Seconds as the time something took. */
export function latency(seconds) {
  if (!known(seconds)) return NONE;
  const ms = seconds * 1e3;
  if (ms >= 1e3) return `${seconds.toFixed(seconds >= 10 ? 0 : 2)}\u202fs`;
  return `${ms.toFixed(ms >= 100 ? 0 : ms >= 10 ? 1 : 2)}\u202fms`;
}

/** Seconds as a stretch of time: the two largest units at most. */
export function stretch(seconds) {
  if (!known(seconds)) return NONE;
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}\u202fs`;
  const units = [[86400, 'd'], [3600, 'h'], [60, 'min']];
  const first = units.findIndex(([size]) => whole >= size);
  const [size, name] = units[first];
  const parts = [`${Math.floor(whole / size)}\u202f${name}`];
  const [nextSize, nextName] = units[first + 1] ?? [];
  const rest = nextSize ? Math.floor((whole % size) / nextSize) : 0;
  if (rest > 0) parts.push(`${rest}\u202f${nextName}`);
  return parts.join(' ');
}

/** How long ago. */
export const ago = (seconds) => (known(seconds) ? `${stretch(seconds)} ago` : NONE);

/** `1 request`, `2 requests`. */
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** The seconds since 1970 of a moment that the API gives as a number or as text. */
export function epoch(moment) {
  if (known(moment)) return moment;
  const parsed = typeof moment === 'string' ? Date.parse(moment) / 1e3 : NaN;
  return known(parsed) ? parsed : null;
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const CALENDAR = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

/** The time of day of seconds since 1970. */
export const clock = (seconds) => (known(seconds) ? CLOCK.format(seconds * 1e3) : NONE);

/** The same with its day. */
export const calendar = (seconds) => (known(seconds) ? CALENDAR.format(seconds * 1e3) : NONE);

/** The API's words with an underscore, for people. */
export const words = (label) => (typeof label === 'string' ? label.replaceAll('_', ' ') : NONE);
