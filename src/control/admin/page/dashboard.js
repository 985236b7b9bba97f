// The page: puts its parts together and keeps what they share.

import { Actions, refused } from './actions.js';
import { Api } from './api.js';
import { byId, setAttribute, setText, show } from './dom.js';
import { clock, known, plural, stretch } from './format.js';
import { banner, Headline } from './headline.js';
import { Live } from './live.js';
import { Scaling } from './scaling.js';
import { Timeline } from './timeline.js';
import { Upstreams } from './upstreams.js';

/** Seconds without an answer after which what is shown is called stale. */
const STALE_AFTER = 3;
/** Milliseconds between two looks that count for the lines of the last minute, and a break in them. */
const SAMPLE = 900;
const BREAK = 4_000;
/** Explanations kept of backends and algorithms. */
const MOST_NOTES = 20_000;

const api = new Api();
const headline = new Headline();
const timeline = new Timeline();

/** What the last answers and events said. */
const model = { status: null, upstreams: [], targets: [], answered: null, skew: 0, problem: null, needsToken: false, sampled: -Infinity };
/** The latest event of each backend, and of each upstream's algorithm. */
const notes = new Map();

const now = () => Date.now() / 1e3 + model.skew;

const why = {
  backend(upstream, backend) {
    const note = notes.get(`${upstream}\n${backend.id}`);
    return note?.to === backend.state ? note.detail : null;
  },
  algorithm(upstream, algorithm) {
    const note = notes.get(upstream);
    return note?.to === algorithm ? note.detail : null;
  },
};

const page = {
  answered(status, upstreams, targets) {
    const date = Date.parse(status.headers.get('Date')) / 1e3;
    // Whole seconds: a small difference says nothing.
    const skew = known(date) ? date + 0.5 - Date.now() / 1e3 : 0;
    Object.assign(model, { status: status.body, upstreams, targets, answered: performance.now(), problem: null, needsToken: false });
    model.skew = Math.abs(skew) > 2 ? skew : 0;
    const isDue = sample();
    headline.update(model.status, upstreams, now(), isDue);
    cards.update(upstreams, { why, now: now(), isDue });
    scaling.update(targets, now());
    actions.update();
    show(byId('token-button'), api.hasToken);
    tick();
  },

  happened(event) {
    if (event.kind === 'backend') note(`${event.upstream}\n${event.backend}`, event);
    if (event.kind === 'algorithm') note(event.upstream, event);
    timeline.add(event);
  },

  missed(number) {
    timeline.mark(`${plural(number, 'event')} before this ${number === 1 ? 'is' : 'are'} kept no more`);
  },

  restarted() {
    forget();
    scaling.forget();
    notes.clear();
    timeline.mark(`Another process answers since ${clock(now())}`);
  },

  failed(problem) {
    model.problem = problem;
    tick();
  },

  refused(problem) {
    model.needsToken = true;
    askForToken(problem.token === null ? null : problem);
    tick();
  },
};

const live = new Live(api, page);
const actions = new Actions(api, { backend, target }, () => live.refresh());
const scaling = new Scaling(api, (target) => actions.scaling(target));
const cards = new Upstreams({
  menu: (...about) => actions.menu(...about),
  algorithm: (upstream) => actions.algorithm(upstream),
});

/** Whether this look is the next of the last minute's; after a break the lines begin anew. */
function sample() {
  const since = performance.now() - model.sampled;
  if (since < SAMPLE) return false;
  if (since > BREAK) forget();
  model.sampled = performance.now();
  return true;
}

function forget() {
  headline.forget();
  cards.forget();
}

function note(key, event) {
  notes.delete(key);
  notes.set(key, { to: event.to, detail: event.detail });
  if (notes.size > MOST_NOTES) notes.delete(notes.keys().next().value);
}

function target(name) {
  return model.targets.find((one) => one.upstream === name) ?? null;
}

function backend(upstreamName, id) {
  const upstream = model.upstreams.find((one) => one.name === upstreamName);
  const found = upstream?.backends.find((one) => one.id === id);
  return found ? { upstream, backend: found } : null;
}

/** Says how fresh the page is. */
function tick() {
  const age = model.answered === null ? null : (performance.now() - model.answered) / 1e3;
  const isStale = age === null ? model.problem !== null : age > STALE_AFTER;
  const feed = model.needsToken ? 'locked' : isStale ? 'stale' : age === null ? 'waiting' : 'live';
  const wording = { locked: 'Token needed', stale: 'Stale', waiting: 'Connecting', live: 'Live' }[feed];
  if (document.body.dataset.feed !== feed && feed !== 'live') setText(byId('announce'), wording);
  setAttribute(document.body, 'data-feed', feed);
  setText(byId('feed-word'), feed === 'stale' && age !== null ? `${wording}, ${stretch(age)} old` : wording);
  banner('stale', 'bad', feed === 'stale' ? staleness(age) : null);
  const button = { name: 'Enter token…', press: () => askForToken(null) };
  banner('token', 'warn', feed === 'locked' ? 'The admin API asks for a token. What is shown is not kept up to date.' : null, [], button);
}

function staleness(age) {
  const { status = 0, code, message, hint } = model.problem ?? {};
  // A server that answers, but not with what was asked for, says why.
  const reason = status > 0 ? ` It says: ${[code, message, hint].filter(Boolean).join(' – ')}.` : '';
  const head = age === null ? 'No answer from Evenkeel yet.' : `No answer for ${stretch(age)}. What you see is of ${clock(now() - age)}.`;
  return `${head}${reason} Trying again every second.`;
}

function askForToken(problem) {
  const dialog = byId('token-dialog');
  const error = byId('token-error');
  show(error, problem !== null);
  if (problem) {
    api.keep(null);
    refused(error, { code: problem.code, message: 'wrong token', hint: 'it is the value of `admin.token` in the configuration' });
  }
  byId('token-input').value = '';
  if (!dialog.open) dialog.showModal();
  byId('token-input').focus();
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = byId('token-input').value.trim();
  const isSendable = /^[\x21-\x7e]+$/.test(token);
  if (!isSendable) {
    refused(byId('token-error'), { code: null, message: 'a token has letters, digits and punctuation only', hint: null });
    return;
  }
  api.keep(token);
  byId('token-dialog').close();
  live.unlock();
});
byId('token-cancel').addEventListener('click', () => byId('token-dialog').close());
byId('token-button').addEventListener('click', () => askForToken(null));

setInterval(tick, 500);
tick();
live.start();
