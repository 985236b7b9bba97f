// What happened, newest first: a bounded list that can be narrowed to one kind.

import { arrange, byId, icon, make, setText } from './dom.js';
import { calendar, clock, epoch, words } from './format.js';
import { by, iconOf, meaningOfReason, toneOf } from './words.js';

const MOST = 200;

const KINDS = [
  ['all', 'All'],
  ['backend', 'Backends'],
  ['observed', 'Observed'],
  ['algorithm', 'Algorithms'],
  ['reload', 'Reloads'],
  ['source', 'Sources'],
  ['scaling', 'Scaling'],
  ['operator', 'Operator'],
];

/** How each kind of event reads: icon, tone, and the line with its important parts marked. */
const READ = {
  backend: (event) => [iconOf(event.to), toneOf(event.to), [strong(event.backend), ` ${words(event.from)} → `, strong(words(event.to))]],
  observed: (event) => ['observed', 'warn', [strong(event.backend), ' would have been ejected']],
  algorithm: (event) => ['algorithm', 'info', [strong(event.upstream), ` ${words(event.from)} → `, strong(words(event.to))]],
  reload: (event) => ['reload', isRefused(event) ? 'bad' : 'ok', event.trigger === 'start' ? [strong('Started')] : [strong(isRefused(event) ? 'Reload refused' : 'Reloaded'), ` ${by(event.trigger)}`]],
  source: (event) => ['source', event.up ? 'ok' : 'bad', [strong(event.upstream), ` source ${words(event.source)} is `, strong(event.up ? 'back' : 'down')]],
  scaling: (event) => ['algorithm', event.to === null ? 'warn' : 'info', event.to === null ? [strong(event.upstream), ` ${words(event.reason)}`] : [strong(event.upstream), ` ${event.from} → `, strong(event.to), ' backends']],
  operator: (event) => ['operator', 'held', [strong('Operator'), ` ${event.what ?? ''}`]],
};

const strong = (text) => make('strong', {}, String(text ?? ''));
const isRefused = (event) => event.ok === false || (Array.isArray(event.errors) && event.errors.length > 0);

/** The sentence that follows the line, and what explains it. */
function explanation(event) {
  const errors = Array.isArray(event.errors) ? event.errors : [];
  if (event.detail) return String(event.detail);
  if (errors.length > 0) return String(errors[0]) + (errors.length > 1 ? ` and ${errors.length - 1} more` : '');
  if (event.summary) return String(event.summary);
  return event.reason ? meaningOfReason(event.reason) : '';
}

export class Timeline {
  #rows = [];
  #kind = 'all';
  #list = byId('events');

  constructor() {
    const chips = KINDS.map(([kind, name]) => {
      const input = make('input', { type: 'radio', name: 'kind', value: kind, checked: kind === 'all' });
      input.addEventListener('change', () => {
        this.#kind = kind;
        this.#arrange();
      });
      return make('label', {}, input, make('span', {}, name));
    });
    byId('kinds').append(...chips);
    this.#arrange();
  }

  add(event) {
    this.#rows.unshift({ kind: event.kind, node: row(event) });
    this.#rows.length = Math.min(this.#rows.length, MOST);
    this.#arrange();
  }

  /** The server is another process now: its events begin anew. */
  mark(text) {
    const node = make('li', { class: 'mark-row' }, text);
    this.#rows.unshift({ kind: 'mark', node });
    this.#rows.length = Math.min(this.#rows.length, MOST);
    this.#arrange();
  }

  #arrange() {
    const shown = this.#rows.filter((one) => this.#kind === 'all' || one.kind === this.#kind || one.kind === 'mark');
    const count = shown.filter((one) => one.kind !== 'mark').length;
    setText(byId('timeline-note'), count === MOST ? `the last ${MOST}` : '');
    arrange(this.#list, shown.length ? shown.map((one) => one.node) : [this.#none]);
  }

  #none = make('li', { class: 'empty' }, 'Nothing has happened.');
}

function row(event) {
  const read = READ[event.kind] ?? (() => ['unknown', 'none', [strong(words(event.kind))]]);
  const [symbol, tone, line] = read(event);
  const at = epoch(event.at);
  const time = make('time', { datetime: at === null ? null : new Date(at * 1e3).toISOString(), title: calendar(at) }, clock(at));
  const place = event.kind === 'backend' || event.kind === 'observed' ? make('span', { class: 'muted' }, ` ${event.upstream ?? ''}`) : null;
  const text = make('span', { class: 'event-text' }, make('span', {}, ...line, place), make('span', { class: 'muted event-detail' }, explanation(event)));
  const mark = make('span', { class: 'event-icon', 'data-tone': tone }, icon(symbol));
  const details = make('details', {}, make('summary', {}, mark, text, time));
  // Most are never opened: what they hold is written when they are.
  details.addEventListener('toggle', () => details.append(facts(event)), { once: true });
  return make('li', { data: { kind: event.kind, id: event.id } }, details);
}

/** All that the event says, as it says it. */
function facts(event) {
  const entries = Object.entries(event).filter(([key, value]) => key !== 'kind' && value !== null);
  const pairs = entries.flatMap(([key, value]) => {
    const text = key === 'at' ? calendar(epoch(value)) : Array.isArray(value) ? value.map(String).join('\n') : typeof value === 'object' ? JSON.stringify(value) : String(value);
    return [make('dt', {}, words(key)), make('dd', {}, text)];
  });
  return make('dl', {}, ...pairs);
}
