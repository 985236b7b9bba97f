// The top of the page: is all well, how much is served, which process this is, and the alarms.

import { arrange, byId, make, setAttribute, setIcon, setText, show, Sparkline } from './dom.js';
import { ago, calendar, clock, count, epoch, greatest, known, latency, NONE, percent, rate, stretch } from './format.js';
import { by, isAvailable, isHeld } from './words.js';

const PLACES = 60;

const TILES = [
  { key: 'rate', name: 'Requests', unit: '/s', say: rate, line: true },
  { key: 'errors', name: 'Errors', say: percent, line: true },
  { key: 'p50', name: 'p50', say: latency },
  { key: 'p95', name: 'p95', say: latency },
  { key: 'p99', name: 'p99', say: latency, line: true },
  { key: 'in_flight', name: 'In flight', say: count },
];

/** The verdict on the whole: a tone, its icon and its word. */
function verdict(upstreams) {
  const missed = (one) => !isAvailable(one) && !isHeld(one);
  const needed = upstreams.filter((upstream) => upstream.backends.length > 0);
  if (needed.some((upstream) => !upstream.backends.some(isAvailable))) return ['bad', 'down', 'Failing'];
  if (needed.some((upstream) => upstream.backends.some((one) => missed(one) || one.state === 'suspect'))) return ['warn', 'suspect', 'Degraded'];
  return ['ok', 'up', 'Healthy'];
}

/** What stays the same in a sentence while its measures tick. */
const gist = (sentence) => sentence.replace(/\b\d[\d.]*\s*(ms|min|s|h|d|x|%)(?![\w.])/g, '#');

export class Headline {
  #tiles = new Map();
  #facts = new Map();
  #samples = new Map();
  #announced = '';

  constructor() {
    for (const tile of TILES) {
      const value = make('dd', {}, NONE);
      const box = make('div', { class: 'tile' }, make('dt', {}, tile.name), value);
      const spark = tile.line ? new Sparkline(tile.name) : null;
      if (spark) box.append(make('dd', { class: 'tile-line' }, spark.svg));
      this.#tiles.set(tile.key, { box, value, spark });
      this.#samples.set(tile.key, []);
      byId('tiles').append(box);
    }
    for (const name of ['Version', 'Up for', 'Configuration', 'Last reload']) {
      const value = make('dd', {}, NONE);
      this.#facts.set(name, value);
      byId('facts').append(make('div', {}, make('dt', {}, name), value));
    }
  }

  forget() {
    for (const samples of this.#samples.values()) samples.length = 0;
  }

  /** `isDue` says that this look counts for the lines of the last minute. */
  update(status, upstreams, now, isDue) {
    this.#sentence(status, upstreams);
    this.#numbers(status.traffic ?? {}, isDue);
    this.#process(status, now);
    this.#alarms(status.config ?? {}, now);
  }

  #sentence(status, upstreams) {
    const [tone, symbol, word] = verdict(upstreams);
    const health = status.health ?? `${upstreams.flatMap((one) => one.backends).filter(isAvailable).length} backends serve`;
    setAttribute(byId('verdict'), 'data-tone', tone);
    setIcon(byId('verdict-icon'), symbol);
    setText(byId('verdict-word'), word);
    setText(byId('health'), health);
    document.title = tone === 'ok' ? 'Evenkeel' : `${word} – Evenkeel`;
    // Not live itself: it would be read out every second, for its ages.
    const said = `${word}. ${gist(health)}`;
    if (said !== this.#announced) setText(byId('announce'), `${word}: ${health}`);
    this.#announced = said;
  }

  #numbers(traffic, isDue) {
    const share = known(traffic.errors) && traffic.rate > 0 ? traffic.errors / traffic.rate : known(traffic.errors) ? 0 : null;
    const values = { ...traffic, errors: share };
    for (const { key, unit, say } of TILES) {
      const { box, value, spark } = this.#tiles.get(key);
      const text = say(values[key]);
      setText(value, unit && text !== NONE ? `${text}\u202f${unit}` : text);
      if (key === 'errors') setAttribute(box, 'data-tone', values.errors > 0 ? 'bad' : 'none');
      if (!spark || !isDue) continue;
      const samples = this.#samples.get(key);
      samples.push(known(values[key]) ? values[key] : null);
      if (samples.length > PLACES) samples.shift();
      const floor = key === 'errors' ? 0.01 : 1e-6;
      spark.update(samples, PLACES, greatest(samples, floor) * 1.1, say);
    }
  }

  #process(status, now) {
    const config = status.config ?? {};
    setText(this.#facts.get('Version'), status.version ?? NONE);
    setText(this.#facts.get('Up for'), stretch(status.uptime));
    const hash = typeof config.hash === 'string' ? config.hash : null;
    setText(this.#facts.get('Configuration'), [config.replaced ? 'through the API' : config.path?.split('/').at(-1), hash?.slice(0, 8)].filter(Boolean).join(' · ') || NONE);
    setAttribute(this.#facts.get('Configuration'), 'title', [config.path, hash].filter(Boolean).join('\n') || null);
    const reload = config.last_reload;
    const at = epoch(reload?.at ?? config.loaded_at);
    const parts = [reload?.ok === false ? 'refused' : null, known(at) ? ago(now - at) : null, by(reload?.trigger)];
    const none = reload === null ? 'none since the start' : NONE;
    setText(this.#facts.get('Last reload'), reload ? parts.filter(Boolean).join(' ') : none);
    setAttribute(this.#facts.get('Last reload'), 'title', known(at) ? calendar(at) : null);
  }

  #alarms(config, now) {
    const reload = config.last_reload;
    if (reload && reload.ok === false) {
      const at = epoch(reload.at);
      const when = known(at) ? `${ago(now - at)}, ${clock(at)}` : '';
      banner('reload', 'bad', `The last reload was refused (${[by(reload.trigger), when].filter(Boolean).join(', ')}). The configuration before it stays in force.`, reload.errors);
    } else {
      banner('reload', 'bad', null);
    }
    const waiting = Array.isArray(config.needs_upgrade) ? config.needs_upgrade : [];
    const text = waiting.length ? 'Loaded, but in force only after an upgrade of the process:' : null;
    banner('upgrade', 'warn', text, waiting.map(change));
  }
}

/** A change in a line. */
function change(one) {
  if (typeof one === 'string') return one;
  return `${one.what ?? ''} ${one.path ?? ''}${one.detail ? `: ${one.detail}` : ''}`.trim();
}

/**
 * Shows a banner, or takes it away when `text` is null. Its head ticks and is no alert; what is
 * wrong is announced once, by its list or by the first text.
 */
export function banner(id, tone, text, lines = [], button = null) {
  let node = byId(`banner-${id}`);
  if (text === null) {
    node?.remove();
    return;
  }
  if (!node) {
    node = make('div', { id: `banner-${id}`, class: 'banner', 'data-tone': tone });
    node.append(make('p'), make('ul', { role: 'alert' }));
    if (button) node.append(make('button', { type: 'button', on: { click: button.press } }, button.name));
    byId('banners').append(node);
  }
  const [head, list] = node.children;
  setText(head, text);
  show(list, lines.length > 0);
  const wanted = lines.map(String);
  if (wanted.join('\n') !== [...list.children].map((item) => item.textContent).join('\n')) {
    arrange(list, wanted.map((line) => make('li', {}, line)));
  }
}
