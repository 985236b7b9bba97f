// One card for each upstream that is scaled: what the autoscaler does with it and why, its size over
// time, what each signal asks for, who leaves, and what was decided of late.

import { Chart } from './chart.js';
import { arrange, byId, icon, make, setAttribute, setIcon, setText, show } from './dom.js';
import { ago, calendar, clock, count, known, NONE, percent, plural, stretch, words } from './format.js';
import { isWorrying, meaningOfDecision } from './words.js';

/** Looks that the API keeps. */
const MOST_POINTS = 360;
/** Intervals, and seconds, without a look after which a target is called stale. */
const LATE = 3;
const LATE_BY = 15;

/** Every target; `api` is asked for its past, `act` opens the dialog that pauses it. */
export class Scaling {
  #cards = new Map();
  #api;
  #act;

  constructor(api, act) {
    this.#api = api;
    this.#act = act;
  }

  /** Another process remembers nothing of what was drawn. */
  forget() {
    for (const card of this.#cards.values()) card.forget();
  }

  update(targets, now) {
    show(byId('scaling'), targets.length > 0);
    const names = new Set(targets.map((target) => target.upstream));
    for (const name of this.#cards.keys()) if (!names.has(name)) this.#cards.delete(name);
    const nodes = targets.map((target) => {
      let card = this.#cards.get(target.upstream);
      if (!card) this.#cards.set(target.upstream, (card = new Card(target.upstream, this.#api, this.#act)));
      card.update(target, now);
      return card.node;
    });
    arrange(byId('targets'), nodes);
  }
}

class Card {
  #api;
  #last = null;
  #points = [];
  #isAsking = false;
  #asks = new Map();
  #records = new Map();

  constructor(name, api, act) {
    this.#api = api;
    this.badge = make('span', { class: 'badge' }, icon('unknown'), make('span', {}, NONE));
    this.pool = make('span', { class: 'muted' });
    this.button = make('button', { type: 'button', class: 'quiet', on: { click: () => act(this.#last) } }, 'Pause…');
    this.sentence = make('p', { class: 'sentence' });
    this.held = make('p', { class: 'held' });
    this.chart = new Chart(name);
    this.asks = make('ul', { class: 'asks' });
    this.forecast = make('p', { class: 'note' });
    this.leaving = make('p', { class: 'leaving' });
    this.records = make('ol', { class: 'records' });
    this.count = make('span', { class: 'muted' });
    this.decisions = make('details', {}, make('summary', {}, make('span', {}, 'Decisions'), this.count), this.records);
    const title = make('div', { class: 'card-title' }, make('h3', {}, name), this.badge, this.pool, this.button);
    const side = make('div', { class: 'side' }, make('h4', {}, 'What the signals ask for'), this.asks, this.forecast, this.leaving);
    this.node = make('article', { class: 'card target', 'aria-label': `Autoscaler of ${name}` }, make('header', {}, title, this.sentence, this.held), make('div', { class: 'target-body' }, this.chart.node, side), this.decisions);
  }

  forget() {
    this.#points = [];
  }

  update(target, now) {
    this.#last = target;
    const { tone, symbol, word } = verdict(target, now);
    setAttribute(this.badge, 'data-tone', tone);
    setIcon(this.badge.firstElementChild.firstElementChild, symbol);
    setText(this.badge.lastElementChild, word);
    setText(this.pool, makeup(target));
    setText(this.sentence, sentence(target));
    const held = obstacle(target, now);
    setText(this.held, held);
    show(this.held, held !== '');
    setText(this.button, target.paused ? 'Resume…' : 'Pause…');
    setAttribute(this.button, 'aria-label', `${target.paused ? 'Resume' : 'Pause'} the scaling of ${target.upstream}`);
    this.#signals(target.decision?.recommendations ?? []);
    setText(this.forecast, foretold(target));
    show(this.forecast, this.forecast.textContent !== '');
    setText(this.leaving, target.leaving.length ? `Leaving: ${target.leaving.join(', ')}. What they have they finish.` : '');
    show(this.leaving, target.leaving.length > 0);
    this.#decided(target.recent ?? []);
    this.#follow(target);
  }

  #signals(recommendations) {
    const sources = new Set(recommendations.map((one) => one.source));
    for (const source of this.#asks.keys()) if (!sources.has(source)) this.#asks.delete(source);
    const most = loudest(recommendations);
    const nodes = recommendations.map((one) => {
      let ask = this.#asks.get(one.source);
      if (!ask) this.#asks.set(one.source, (ask = new Ask(one.source)));
      ask.update(one, one === most);
      return ask.node;
    });
    arrange(this.asks, nodes.length ? nodes : [this.#none]);
  }

  #none = make('li', { class: 'muted' }, 'Nothing was measured.');

  #decided(recent) {
    const keys = new Set(recent.map((record) => record.at));
    for (const key of this.#records.keys()) if (!keys.has(key)) this.#records.delete(key);
    const nodes = recent.map((record) => {
      if (!this.#records.has(record.at)) this.#records.set(record.at, row(record));
      return this.#records.get(record.at);
    });
    arrange(this.records, nodes);
    setText(this.count, recent.length ? `the last one ${clock(recent[0].at)}` : 'none yet');
  }

  /** Asks for what was seen since the last time, and draws it. */
  async #follow(target) {
    const newest = this.#points.at(-1)?.at ?? 0;
    if (this.#isAsking || target.at === newest) return;
    // A clock that was set back: what was drawn lies in the future.
    if (target.at < newest) this.forget();
    const after = this.#points.at(-1)?.at ?? 0;
    const before = this.#points;
    this.#isAsking = true;
    try {
      const { body } = await this.#api.get(`autoscaler/${encodeURIComponent(target.upstream)}/history?after=${after}`);
      if (before !== this.#points) return;
      this.#points = [...before, ...(body.points ?? [])].slice(-MOST_POINTS);
      this.chart.update(this.#points, target);
    } catch {
      // Asked again with the next look, whose problems are the page's to show.
    } finally {
      this.#isAsking = false;
    }
  }
}

/** A signal, or the forecast. */
class Ask {
  constructor(source) {
    this.fill = make('div', { class: 'fill' });
    this.track = make('div', { class: 'track' }, this.fill);
    this.share = make('span', { class: 'ask-share' });
    this.wish = make('span', { class: 'ask-wish' });
    this.note = make('span', { class: 'ask-note' });
    this.node = make('li', {}, make('span', { class: 'ask-name' }, words(source)), this.wish, this.track, this.share, this.note);
  }

  update({ source, utilisation, replicas, note }, decides) {
    const isForecast = source === 'forecast';
    const isMissing = !known(utilisation) && !isForecast;
    this.fill.style.inlineSize = `${known(utilisation) ? Math.min(100, utilisation * 100).toFixed(1) : 0}%`;
    show(this.track, !isForecast);
    setText(this.share, isForecast ? '' : known(utilisation) ? percent(utilisation) : 'not measured');
    setText(this.wish, isMissing ? NONE : `asks for ${count(replicas)}`);
    setAttribute(this.wish, 'data-decides', decides ? 'true' : null);
    setText(this.note, note ?? '');
    setAttribute(this.note, 'data-tone', isMissing ? 'bad' : 'none');
  }
}

/** How a target is, at a glance. */
function verdict(target, now) {
  const { pool, decision, paused, held } = target;
  const is = (tone, symbol, word) => ({ tone, symbol, word });
  if (isLate(target, now)) return is('warn', 'expired', 'Stale');
  if (!pool) return is('bad', 'down', 'Driver fails');
  if (paused) return is('held', 'paused', 'Paused');
  if (held?.startsWith('dry_run')) return is('info', 'observed', 'Dry run');
  if (held !== null && held !== 'paused') return is('warn', 'suspect', 'Held');
  if (decision?.direction === 'up') return is('info', 'warming', 'Growing');
  if (decision?.direction === 'down') return is('info', 'draining', 'Shrinking');
  if (isWorrying(decision?.reason)) return is('warn', 'suspect', capital(words(decision.reason)));
  return is('ok', 'up', 'Steady');
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
const isLate = ({ at, interval }, now) => now - at > Math.max(LATE * interval, interval + LATE_BY);

/** How many there are, and what becomes of them. */
function makeup({ pool, min, max, leaving }) {
  const parts = [];
  if (pool) {
    parts.push(plural(pool.size, 'backend'), `${count(pool.ready)} serve${pool.ready === 1 ? 's' : ''}`);
    if (pool.warming > 0) parts.push(`${count(pool.warming)} on the way`);
    if (pool.failing > 0) parts.push(`${count(pool.failing)} failing`);
  }
  if (leaving.length > 0) parts.push(`${count(leaving.length)} leaving`);
  return [...parts, `bounds ${count(min)} to ${count(max)}`].join(' · ');
}

/** What it does, why, and by whose word. */
function sentence(target) {
  const { pool, decision } = target;
  if (!pool || !decision) return 'The driver cannot be asked, so the size is left as it is.';
  return `${step(target, pool, decision)}: ${meaningOfDecision(decision.reason)}.${evidence(decision)}`;
}

function step({ held, paused }, { size }, { direction, size: to, desired }) {
  if (direction === 'hold') {
    const wish = desired === size ? '' : `, though ${count(desired)} would be wanted`;
    return `Stays at ${plural(size, 'backend')}${wish}`;
  }
  const verb = { up: 'grow', down: 'shrink' }[direction] ?? words(direction);
  const end = desired === to ? '' : `, and to ${count(desired)} in the end`;
  return `${held !== null || paused ? `Would ${verb}` : capital(`${verb}s`)} from ${count(size)} to ${plural(to, 'backend')}${end}`;
}

/** The source that asks for most, of those that were measured; the first of several. */
function loudest(recommendations) {
  const heard = recommendations.filter((one) => known(one.utilisation) || one.source === 'forecast');
  return heard.reduce((most, one) => (most === null || one.replicas > most.replicas ? one : most), null);
}

function evidence({ recommendations }) {
  const most = loudest(recommendations);
  if (!most) return '';
  const load = known(most.utilisation) ? ` is at ${percent(most.utilisation)} and` : '';
  return ` ${capital(words(most.source))}${load} asks for ${count(most.replicas)}.`;
}

/** What keeps it from acting; empty where nothing does. */
function obstacle(target, now) {
  const { held, paused, pool, at, interval } = target;
  if (isLate(target, now)) return `It looks every ${stretch(interval)}, and did so last ${ago(now - at)}: all of this may be over.`;
  if (paused) return 'An operator has paused it: nothing is done until it is resumed.';
  if (held === null) return '';
  if (held === 'paused') return 'It is resumed, and acts with its next look.';
  if (!pool) return `The driver: ${held}.`;
  if (held.startsWith('dry_run')) return 'A dry run: nothing is done until `dry_run: false` is configured.';
  return `Held: ${held}.`;
}

/** How far the forecast can be believed. */
function foretold({ forecast, forecast_error: error, forecast_counts: counts, horizon }) {
  if (!known(horizon)) return '';
  if (!known(forecast)) return 'There is no forecast yet.';
  const doubt = known(error) ? `it was ${percent(error)} off of late` : 'none came due yet';
  return `Forecast: ${forecast.toFixed(1)} needed in ${stretch(horizon)}; ${doubt}. It ${counts ? 'counts' : 'does not count'}.`;
}

/** A decision with what it was made from. */
function row({ at, pool, decision, held }) {
  const time = make('time', { datetime: new Date(at * 1e3).toISOString(), title: calendar(at) }, clock(at));
  const line = make('strong', {}, decision.direction === 'hold' ? plural(pool.size, 'backend') : `${count(pool.size)} → ${plural(decision.size, 'backend')}`);
  const said = decision.recommendations.map((one) => `${one.source} ${known(one.utilisation) ? `${percent(one.utilisation)} ` : one.source === 'forecast' ? '' : 'not measured '}asks for ${count(one.replicas)}${one.note ? ` (${one.note})` : ''}`);
  const inputs = [`${count(pool.ready)} served`];
  if (pool.warming > 0) inputs.push(`${count(pool.warming)} on the way`);
  if (pool.failing > 0) inputs.push(`${count(pool.failing)} failing`);
  if (known(decision.needed)) inputs.push(`${decision.needed.toFixed(2)} needed`);
  if (decision.desired !== decision.size) inputs.push(`${count(decision.desired)} desired`);
  const facts = [...said, inputs.join(', '), held ? `held: ${held}` : ''].filter(Boolean).join('; ');
  return make('li', {}, time, make('span', { class: 'event-text' }, make('span', {}, line, ` ${meaningOfDecision(decision.reason)}`), make('span', { class: 'muted' }, facts)));
}
