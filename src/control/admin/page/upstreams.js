// One card per upstream, one row per backend. Rows are made once and changed in place, so that focus,
// selections and open menus survive the second.

import { arrange, byId, icon, make, setAttribute, setIcon, setText, show, Sparkline } from './dom.js';
import { ago, count, epoch, greatest, known, latency, NONE, percent, plural, rate, stretch, words } from './format.js';
import { iconOf, isAvailable, meaningOfAlgorithm, meaningOfReason, toneOf } from './words.js';

const PLACES = 60;
/** Rows shown of an upstream, and when somebody asks for more. */
const SHOWN = 50;
const MOST_SHOWN = 1_000;

const COLUMNS = [
  ['backend', 'Backend'],
  ['state', 'State'],
  ['share', 'Traffic', 'Its share of the requests; the mark is its share by weight'],
  ['rate', 'Rate', 'Requests per second'],
  ['quantiles', 'p50 / p99', 'Of the last ten seconds'],
  ['spark', 'Last minute', 'Latency over the last 60 s; one scale for all backends of the upstream'],
  ['flight', 'In flight'],
  ['check', 'Last check'],
  ['menu', 'Actions'],
];

/** Every upstream; `act` opens the menu of a backend and the dialog of an upstream. */
export class Upstreams {
  #cards = new Map();
  #act;

  constructor(act) {
    this.#act = act;
  }

  forget() {
    for (const card of this.#cards.values()) card.forget();
  }

  /**
   * What a look found. In `look`, `why` says what the events know of a backend's state or of an
   * upstream's algorithm, and `isDue` that it counts for the lines of the last minute.
   */
  update(upstreams, look) {
    const names = new Set(upstreams.map((upstream) => upstream.name));
    for (const name of this.#cards.keys()) if (!names.has(name)) this.#cards.delete(name);
    const nodes = upstreams.map((upstream) => {
      let card = this.#cards.get(upstream.name);
      if (!card) this.#cards.set(upstream.name, (card = new Card(upstream.name, this.#act)));
      card.update(upstream, look);
      return card.node;
    });
    if (nodes.length === 0) nodes.push(this.#none);
    arrange(byId('upstreams'), nodes);
  }

  #none = make('p', { class: 'empty' }, 'The configuration has no upstreams.');
}

class Card {
  #rows = new Map();
  #act;
  #limit = SHOWN;
  #last = null;

  constructor(name, act) {
    this.#act = act;
    this.name = make('h2', {}, name);
    this.serving = make('span', { class: 'serving' });
    this.load = make('span', { class: 'muted' });
    this.algorithm = make('span', { class: 'algorithm' });
    this.why = make('span', { class: 'muted' });
    this.change = make('button', { type: 'button', class: 'quiet', on: { click: () => act.algorithm(this.#last) } }, 'Algorithm…');
    this.change.setAttribute('aria-label', `Change the algorithm of ${name}`);
    this.body = make('tbody', { role: 'rowgroup' });
    this.more = make('button', { type: 'button', class: 'more', hidden: true, on: { click: () => this.#showMore() } });
    const title = make('div', { class: 'card-title' }, this.name, this.serving, this.load);
    const rule = make('div', { class: 'card-rule' }, make('p', {}, this.algorithm, ' ', this.why), this.change);
    this.node = make('article', { class: 'card' }, make('header', {}, title, rule), table(name, this.body), this.more);
  }

  forget() {
    for (const row of this.#rows.values()) row.samples.length = 0;
  }

  #showMore() {
    this.#limit = MOST_SHOWN;
    this.more.hidden = true;
  }

  update(upstream, look) {
    this.#last = upstream;
    this.#head(upstream, look.why);
    const backends = upstream.backends ?? [];
    const scale = scaleOf(backends);
    const ids = new Set(backends.map((backend) => backend.id));
    for (const id of this.#rows.keys()) if (!ids.has(id)) this.#rows.delete(id);
    if (look.isDue) for (const backend of backends) this.#row(backend).sample(backend);
    const shown = this.#choose(backends);
    const top = greatest(shown.map((backend) => greatest(this.#row(backend).samples, 1e-6)), 1e-6) * 1.08;
    for (const backend of shown) this.#row(backend).update(upstream, backend, { ...look, scale, top });
    arrange(this.body, shown.map((backend) => this.#row(backend).node));
    const most = Math.min(backends.length, MOST_SHOWN);
    show(this.more, shown.length < most);
    setText(this.more, `Show ${most} of ${backends.length} backends, those that are not up first`);
  }

  /** All in the order of the file; of too many, those that need a look first. */
  #choose(backends) {
    if (backends.length <= this.#limit) return backends;
    const well = backends.filter((backend) => backend.state === 'up');
    const unwell = backends.filter((backend) => backend.state !== 'up');
    return [...unwell, ...well].slice(0, this.#limit);
  }

  #row(backend) {
    let row = this.#rows.get(backend.id);
    if (!row) this.#rows.set(backend.id, (row = new Row(backend.id, this.#act)));
    return row;
  }

  #head(upstream, why) {
    const backends = upstream.backends ?? [];
    // Counted as the sentence at the top counts them: backups serve in the others' stead.
    const primaries = backends.filter((backend) => !backend.backup);
    const serving = primaries.filter(isAvailable).length;
    setText(this.serving, `${count(serving)} of ${plural(primaries.length, 'backend')} serve${serving === 1 ? 's' : ''}`);
    setAttribute(this.serving, 'data-tone', serving === 0 ? 'bad' : serving < primaries.length ? 'warn' : 'ok');
    const backups = backends.length - primaries.length;
    const load = [...(backups > 0 ? [plural(backups, 'backup')] : []), `${count(upstream.in_flight)} in flight`];
    if (upstream.waiting > 0) load.push(`${count(upstream.waiting)} waiting for a slot`);
    setText(this.load, load.join(' · '));
    setText(this.algorithm, words(upstream.algorithm));
    setText(this.why, reasonFor(upstream, why));
  }
}

/** Why this algorithm: who chose it, and by what evidence. */
function reasonFor(upstream, why) {
  const configured = upstream.algorithm_configured;
  const chosen = why.algorithm(upstream.name, upstream.algorithm);
  const parts = [];
  if (upstream.operator?.algorithm) parts.push(`set by the operator; configured is ${words(configured)}`);
  else if (configured && configured !== upstream.algorithm) parts.push(`chosen by ${words(configured)}`);
  else parts.push(configured ? 'as configured' : meaningOfAlgorithm(upstream.algorithm));
  if (chosen) parts.push(chosen);
  return parts.filter(Boolean).join(': ');
}

function table(name, body) {
  const heads = COLUMNS.map(([key, title, note]) => {
    const text = key === 'menu' ? make('span', { class: 'unseen' }, title) : title;
    return make('th', { scope: 'col', role: 'columnheader', class: `c-${key}`, title: note }, text);
  });
  const caption = make('caption', { class: 'unseen' }, `Backends of ${name}`);
  const head = make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...heads));
  // The roles stay when a narrow screen lays the rows out as cards.
  return make('table', { role: 'table' }, caption, head, body);
}

/** What fills a bar: a little more than the largest share. */
function scaleOf(backends) {
  const shares = backends.flatMap((backend) => [backend.traffic_share, backend.weight_share]);
  return Math.min(1, greatest(shares, 0.01) * 1.15);
}

class Row {
  samples = [];
  #last = null;

  constructor(id, act) {
    const cell = (key, ...children) => make('td', { role: 'cell', class: `c-${key}`, data: { label: COLUMNS.find(([known]) => known === key)[1] } }, ...children);
    this.tags = make('div', { class: 'tags' });
    this.badge = make('span', { class: 'badge' }, icon('unknown'), make('span'));
    this.reason = make('div', { class: 'reason' });
    this.fill = make('div', { class: 'fill' });
    this.mark = make('div', { class: 'mark' });
    this.share = make('strong');
    this.weight = make('span');
    this.rate = make('div');
    this.errors = make('div', { class: 'errors' });
    this.p50 = make('span');
    this.p99 = make('span', { class: 'muted' });
    this.slash = make('span', { class: 'muted', 'aria-hidden': 'true' }, ' / ');
    this.spark = new Sparkline(`Latency of ${id}`);
    this.flight = make('div');
    this.check = make('div', { class: 'check' }, make('span'), make('span', { class: 'muted' }));
    this.button = make('button', { type: 'button', class: 'icon-button', 'aria-haspopup': 'menu', 'aria-label': `Actions for ${id}` }, icon('more'));
    this.button.addEventListener('click', () => act.menu(this.button, ...this.#last));
    const name = make('th', { scope: 'row', role: 'rowheader', class: 'c-backend' }, make('div', { class: 'id' }, id), this.tags);
    this.node = make('tr', { role: 'row', data: { backend: id } }, name,
      cell('state', this.badge, this.reason),
      cell('share', make('div', { class: 'track', 'aria-hidden': 'true' }, this.fill, this.mark), make('div', { class: 'figures' }, this.share, ' · ', this.weight)),
      cell('rate', this.rate, this.errors),
      cell('quantiles', this.p50, this.slash, this.p99),
      cell('spark', this.spark.svg),
      cell('flight', this.flight),
      cell('check', this.check),
      cell('menu', this.button));
  }

  sample(backend) {
    this.samples.push(known(backend.p50) ? backend.p50 : null);
    if (this.samples.length > PLACES) this.samples.shift();
  }

  update(upstream, backend, { why, now, scale, top }) {
    this.#last = [upstream, backend];
    setAttribute(this.node, 'data-state', backend.state);
    this.#tags(backend);
    this.#state(upstream, backend, why);
    this.#share(backend, scale);
    setText(this.rate, known(backend.requests_per_second) ? `${rate(backend.requests_per_second)}\u202f/s` : NONE);
    const failing = backend.errors_per_second > 0;
    setText(this.errors, failing ? `${rate(backend.errors_per_second)}\u202f/s fail` : '');
    setText(this.p50, latency(backend.p50));
    setText(this.p99, latency(backend.p99));
    for (const node of [this.slash, this.p99]) show(node, known(backend.p99));
    this.spark.update(this.samples, PLACES, top, latency);
    setText(this.flight, count(backend.in_flight));
    this.#check(backend.last_check, now);
  }

  #tags(backend) {
    const tags = [];
    if (backend.address && backend.address !== backend.id) tags.push(backend.address);
    if (backend.backup) tags.push('backup');
    if (backend.zone) tags.push(`zone ${backend.zone}`);
    if (backend.source && backend.source !== 'configured') tags.push(backend.source);
    setText(this.tags, tags.join(' · '));
  }

  #state(upstream, backend, why) {
    const [svg, word] = this.badge.children;
    setAttribute(this.badge, 'data-tone', toneOf(backend.state));
    setIcon(svg.firstElementChild, iconOf(backend.state));
    setText(word, words(backend.state));
    const reason = backend.detail || why.backend(upstream.name, backend) || meaningOfReason(backend.reason);
    const parts = [];
    if (reason || backend.state !== 'up') parts.push(`${ago(backend.since)}${reason ? `: ${reason}` : ''}`);
    else if (known(backend.since)) parts.push(`for ${stretch(backend.since)}`);
    if (known(backend.until)) parts.push(`${stretch(backend.until)} left`);
    setText(this.reason, parts.join(' · '));
  }

  #share(backend, scale) {
    const length = (share) => `${known(share) ? Math.min(100, (share / scale) * 100).toFixed(1) : 0}%`;
    this.fill.style.inlineSize = length(backend.traffic_share);
    this.mark.style.insetInlineStart = length(backend.weight_share);
    show(this.mark, known(backend.weight_share) && backend.weight_share > 0);
    setText(this.share, percent(backend.traffic_share));
    const notes = [];
    if (backend.weight_share > 0) notes.push(percent(backend.weight_share));
    if (backend.operator?.weight != null) notes.push('set by the operator');
    setText(this.weight, `weight ${count(backend.weight)}${notes.length ? ` (${notes.join(', ')})` : ''}`);
  }

  #check(check, now) {
    const [result, when] = this.check.children;
    const at = epoch(check?.at);
    const word = check ? (check.ok ? 'passed' : 'failed') : NONE;
    setText(result, check?.ok === false && check.detail ? `failed: ${check.detail}` : word);
    setAttribute(result, 'data-tone', check?.ok === false ? 'bad' : 'none');
    setAttribute(this.check, 'title', check?.detail ?? null);
    setText(when, known(at) ? ` ${ago(now - at)}` : '');
  }
}
