// Making and changing elements. Whatever comes from the API goes into text nodes and attributes,
// never through a parser: the policy the page is served with forbids the rest.

const SVG = 'http://www.w3.org/2000/svg';

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** An element. Keys of `props`: `on` for listeners, `data` for data attributes, otherwise attributes. */
export function make(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === 'data') {
      Object.assign(node.dataset, value);
    } else if (value === true) {
      node.setAttribute(name, '');
    } else if (value !== false && value != null) {
      node.setAttribute(name, value);
    }
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

/** A graphic element. */
export function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** One of the page's symbols. It is decoration: a word stands beside it. */
export function icon(name) {
  return draw('svg', { class: 'icon', 'aria-hidden': 'true' }, draw('use', { href: `#i-${name}` }));
}

/** Changes what an icon shows. */
export function setIcon(svg, name) {
  setAttribute(svg.firstElementChild ?? svg, 'href', `#i-${name}`);
}

/** Changes a text only if it differs, so that selections and screen readers are left alone. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Changes an attribute only if it differs; null removes it. */
export function setAttribute(node, name, value) {
  if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Shows or hides. */
export function show(node, visible) {
  if (node.hidden === visible) node.hidden = !visible;
}

/** Puts `nodes` into `parent` in this order, moving only what is out of place. */
export function arrange(parent, nodes) {
  const wanted = new Set(nodes);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

const WIDTH = 96;
const HEIGHT = 22;

/** A line through the samples of a minute. */
export class Sparkline {
  constructor(label) {
    this.label = label;
    this.line = draw('path', { class: 'spark-line' });
    this.area = draw('path', { class: 'spark-area' });
    this.svg = draw('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' }, this.area, this.line);
  }

  /** Draws `samples`, of which null is a gap, to the scale of `top`. */
  update(samples, places, top, say) {
    const x = (index) => ((places - samples.length + index) / (places - 1)) * WIDTH;
    const y = (value) => HEIGHT - 1.5 - (Math.min(value, top) / top) * (HEIGHT - 3);
    const strokes = pieces(samples).map((piece) => piece.map(([index, value]) => [x(index), y(value)]));
    const path = (points) => points.map(([left, height], index) => `${index ? 'L' : 'M'}${left.toFixed(1)} ${height.toFixed(1)}`).join('');
    // A single sample has no length of its own.
    const line = strokes.map((points) => (points.length > 1 ? path(points) : `${path(points)}h.1`)).join('');
    const area = strokes.map((points) => `${path(points)}V${HEIGHT}H${points[0][0].toFixed(1)}Z`).join('');
    setAttribute(this.line, 'd', line);
    setAttribute(this.area, 'd', area);
    const values = samples.filter((value) => value != null);
    const range = values.length ? `${say(Math.min(...values))} to ${say(Math.max(...values))}` : 'nothing yet';
    setAttribute(this.svg, 'aria-label', `${this.label}, last minute: ${range}`);
  }
}

/** The stretches of samples without a gap, each sample with its position. */
function pieces(samples) {
  const found = [];
  samples.forEach((value, index) => {
    if (value == null) return;
    if (index > 0 && samples[index - 1] != null) found.at(-1).push([index, value]);
    else found.push([[index, value]]);
  });
  return found;
}
