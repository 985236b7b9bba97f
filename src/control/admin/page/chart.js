// The size of an upstream over time: what it was and should have been, within its bounds, and what the
// forecast said against what came.

import { arrange, draw, make, setAttribute, setText, show } from './dom.js';
import { clock, greatest, known, NONE, stretch } from './format.js';

const WIDTH = 1_000;
const HEIGHT = 100;
/** Looks that the chart is wide, before there are more. */
const AT_LEAST = 60;
/** Intervals without a look after which a line is broken. */
const BREAK = 3.5;
/** Lines of the scale. */
const MOST_TICKS = 5;

/** Each line: the key of its value and of its time, its name, and whether it holds until the next. */
const LINES = [
  { key: 'size', at: 'at', name: 'Size', steps: true },
  { key: 'desired', at: 'at', name: 'Desired', steps: true },
  { key: 'needed', at: 'at', name: 'Needed' },
  { key: 'forecast', at: 'forecast_for', name: 'Forecast' },
];

const x = (share) => (share * WIDTH).toFixed(1);
const figure = (value) => (known(value) ? (Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : 1)) : NONE);

/** Reads with a pointer, or with the arrow keys. */
export class Chart {
  #lines = new Map();
  #ticks = [];
  #points = [];
  #frame = null;
  #at = null;

  constructor(name) {
    this.band = draw('path', { class: 'band' });
    this.grid = draw('path', { class: 'grid' });
    this.now = draw('path', { class: 'now' });
    this.cursor = draw('path', { class: 'cursor' });
    const paths = LINES.map(({ key }) => draw('path', { class: `line ${key}` }));
    // The size lies on top: where it is what is wanted, it is what is seen.
    this.svg = draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.band, this.grid, this.now, ...paths.toReversed(), this.cursor);
    this.scale = make('div', { class: 'scale', 'aria-hidden': 'true' });
    this.plot = make('div', { class: 'plot', tabindex: '0', role: 'slider', 'aria-label': `Size of ${name} over time`, 'aria-valuemin': '0', 'aria-valuemax': '100' }, this.svg, this.scale);
    this.times = ['', '', ''].map(() => make('span'));
    this.when = make('span', { class: 'when' });
    const legend = make('dl', { class: 'legend' });
    LINES.forEach(({ key, name: title }, index) => {
      const value = make('dd', {}, NONE);
      const box = make('div', {}, make('dt', {}, swatch(key), title), value);
      this.#lines.set(key, { path: paths[index], box, value });
      legend.append(box);
    });
    this.bounds = make('dd', {}, NONE);
    legend.append(make('div', {}, make('dt', {}, swatch('band'), 'Bounds'), this.bounds));
    this.node = make('div', { class: 'chart' }, this.plot, make('div', { class: 'times', 'aria-hidden': 'true' }, ...this.times), make('div', { class: 'readout' }, this.when, legend));
    this.#listen();
  }

  /** Draws `points`, the oldest first, of a target that is looked at each `interval`. */
  update(points, { interval, horizon }) {
    this.#points = points;
    this.#frame = frame(points, interval, horizon);
    for (const line of LINES) this.#stroke(line);
    this.#bounds();
    this.#scale();
    this.#clock();
    show(this.#lines.get('forecast').box, known(horizon));
    this.#read();
  }

  #stroke({ key, at, steps }) {
    const { left, top } = this.#place;
    const strokes = pieces(this.#points, key, at, this.#frame.gap).map((piece) => {
      const dots = piece.map((point) => [left(point[at]), top(point[key])]);
      const rest = dots.slice(1).map(([across, down]) => (steps ? `H${across}V${down}` : `L${across} ${down}`));
      // A single look has no length of its own.
      return `M${dots[0].join(' ')}${rest.join('') || 'h.1'}`;
    });
    setAttribute(this.#lines.get(key).path, 'd', strokes.join(''));
  }

  /** The area between the least and the most, as they were at each time. */
  #bounds() {
    const { left, top } = this.#place;
    const [first] = this.#points;
    if (!first) return;
    const there = this.#points.map((point) => `H${left(point.at)}V${top(point.max)}`).join('');
    const back = this.#points.map((point) => `V${top(point.min)}H${left(point.at)}`).reverse().join('');
    setAttribute(this.band, 'd', `M${left(first.at)} ${top(first.max)}${there}H${WIDTH}${back}Z`);
  }

  #scale() {
    const { top, highest } = this.#frame;
    const step = [1, 2, 5].flatMap((unit) => [1, 10, 100, 1_000, 10_000].map((power) => unit * power)).sort((a, b) => a - b).find((one) => highest / one <= MOST_TICKS) ?? highest;
    const values = [];
    for (let value = 0; value <= highest; value += step) values.push(value);
    setAttribute(this.grid, 'd', values.map((value) => `M0 ${this.#place.top(value)}H${WIDTH}`).join(''));
    while (this.#ticks.length < values.length) this.#ticks.push(make('span'));
    values.forEach((value, index) => {
      setText(this.#ticks[index], String(value));
      this.#ticks[index].style.insetBlockStart = `${100 - (value / top) * 100}%`;
    });
    arrange(this.scale, this.#ticks.slice(0, values.length));
  }

  #clock() {
    const { start, end, now } = this.#frame;
    const middle = this.#share(now);
    setAttribute(this.now, 'd', now < end ? `M${x(middle)} 0V${HEIGHT}` : null);
    const [first, present, ahead] = this.times;
    setText(first, clock(start));
    setText(present, 'now');
    present.style.insetInlineEnd = `${(1 - middle) * 100}%`;
    setText(ahead, end - now > 0.07 * (end - start) ? `+${stretch(end - now)}` : '');
  }

  /** Says the values of the time that is pointed at, or of the present. */
  #read() {
    const { start, end, now, gap } = this.#frame;
    const time = this.#at === null ? now : Math.min(Math.max(this.#at, start), end);
    const said = LINES.map(({ key, at, name }) => {
      const near = this.#nearest(time, key, at);
      const isThere = near !== null && Math.abs(near[at] - time) <= gap;
      // Of the time to come only the forecast is known.
      const value = isThere && (key === 'forecast' || time <= now) ? near[key] : null;
      setText(this.#lines.get(key).value, figure(value));
      return `${name.toLowerCase()} ${known(value) ? figure(value) : 'unknown'}`;
    });
    const then = this.#nearest(time, 'min', 'at');
    setText(this.bounds, then ? `${then.min} to ${then.max}` : NONE);
    const when = this.#at === null ? 'now' : clock(time);
    setText(this.when, when);
    setAttribute(this.cursor, 'd', this.#at === null ? null : `M${x(this.#share(time))} 0V${HEIGHT}`);
    setAttribute(this.plot, 'aria-valuenow', String(Math.round(this.#share(time) * 100)));
    setAttribute(this.plot, 'aria-valuetext', `${when}: ${said.join(', ')}`);
  }

  #nearest(time, key, at) {
    let best = null;
    for (const point of this.#points) {
      if (known(point[key]) && (best === null || Math.abs(point[at] - time) < Math.abs(best[at] - time))) best = point;
    }
    return best;
  }

  #share(time) {
    const { start, end } = this.#frame;
    return Math.min(Math.max((time - start) / (end - start), 0), 1);
  }

  /** Where a time and a value are drawn. */
  get #place() {
    const { top } = this.#frame;
    return {
      left: (time) => x(this.#share(time)),
      top: (value) => (HEIGHT - (Math.min(value, top) / top) * HEIGHT).toFixed(2),
    };
  }

  #listen() {
    const point = (time) => {
      this.#at = time;
      if (this.#frame) this.#read();
    };
    this.plot.addEventListener('pointermove', (event) => {
      const { left, width } = this.plot.getBoundingClientRect();
      if (this.#frame) point(this.#frame.start + ((event.clientX - left) / width) * (this.#frame.end - this.#frame.start));
    });
    this.plot.addEventListener('pointerleave', () => point(null));
    this.plot.addEventListener('blur', () => point(null));
    this.plot.addEventListener('keydown', (event) => {
      if (!this.#frame) return;
      const { start, end, now, interval } = this.#frame;
      const here = this.#at ?? now;
      const to = { ArrowLeft: here - interval, ArrowRight: here + interval, Home: start, End: end, Escape: null }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      point(to === null ? null : Math.min(Math.max(to, start), end));
    });
  }
}

/** The stretch of time and of sizes that is shown. */
function frame(points, interval, horizon) {
  const now = points.at(-1)?.at ?? 0;
  const gap = Math.max(BREAK * interval, 5);
  const span = Math.max(AT_LEAST * interval, now - (points[0]?.at ?? now));
  const end = now + (known(horizon) && points.some((point) => known(point.forecast)) ? horizon : 0);
  const drawn = points.flatMap((point) => [point.size, point.desired, point.needed, point.forecast, point.min]);
  const most = greatest(drawn, 1);
  const max = points.at(-1)?.max ?? 0;
  // Bounds far above what there is would press it flat.
  const highest = max > most && max <= 3 * most ? max : most;
  return { start: now - span, end, now, gap, interval, highest, top: highest * 1.12 };
}

/** The stretches of points that have a value, without a gap in time. */
function pieces(points, key, at, gap) {
  const found = [];
  let last = null;
  for (const point of points) {
    if (!known(point[key]) || !known(point[at])) {
      last = null;
    } else {
      if (last === null || point[at] - last > gap || point[at] < last) found.push([]);
      found.at(-1).push(point);
      last = point[at];
    }
  }
  return found;
}

/** A piece of the line, for the legend. */
function swatch(key) {
  const line = key === 'band' ? draw('rect', { class: 'band', width: '22', height: '10' }) : draw('path', { class: `line ${key}`, d: 'M1 5H21' });
  return draw('svg', { class: 'swatch', viewBox: '0 0 22 10', 'aria-hidden': 'true' }, line);
}
