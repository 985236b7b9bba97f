// What the operator can do: the menu of a backend, and dialogs that say what will happen first.

import { byId, icon, make, setText, show } from './dom.js';
import { count, known, percent, plural, words } from './format.js';
import { isAvailable, isHeld, meaningOfAlgorithm } from './words.js';

/** `api` makes the calls, `latest` finds a backend or a target as it is now, `refresh` looks again. */
export class Actions {
  #api;
  #latest;
  #refresh;
  #opener = null;
  #follow = () => {};
  #menu = byId('menu');
  #dialog = byId('ask');

  constructor(api, latest, refresh) {
    this.#api = api;
    this.#latest = latest;
    this.#refresh = refresh;
    this.#menu.addEventListener('keydown', (event) => this.#walk(event));
    this.#menu.addEventListener('toggle', (event) => {
      this.#opener?.setAttribute('aria-expanded', String(event.newState === 'open'));
    });
    for (const move of ['resize', 'scroll']) addEventListener(move, () => this.#place(), { passive: true });
  }

  /** Keeps the numbers in an open dialog true. */
  update() {
    if (this.#dialog.open) this.#follow();
  }

  menu(button, upstream, backend) {
    const state = backend.operator?.state ?? 'active';
    const items = [];
    if (state !== 'draining') items.push(['draining', 'Drain…', () => this.#drain(upstream, backend)]);
    if (state !== 'maintenance') items.push(['maintenance', 'Maintenance…', () => this.#maintain(upstream, backend)]);
    if (state !== 'active') items.push(['up', 'Activate…', () => this.#activate(upstream, backend)]);
    items.push(['algorithm', 'Change weight…', () => this.#weigh(upstream, backend)]);
    const nodes = items.map(([symbol, name, act]) => {
      const item = make('button', { type: 'button', role: 'menuitem', tabindex: '-1' }, icon(symbol), make('span', {}, name));
      item.addEventListener('click', () => {
        this.#menu.hidePopover();
        act();
      });
      return item;
    });
    this.#menu.replaceChildren(...nodes);
    this.#menu.setAttribute('aria-label', `Actions for ${backend.id}`);
    this.#opener = button;
    this.#menu.showPopover();
    this.#place();
    nodes[0].focus();
  }

  #place() {
    if (!this.#menu.matches(':popover-open')) return;
    const at = this.#opener.getBoundingClientRect();
    const size = this.#menu.getBoundingClientRect();
    const below = at.bottom + 4 + size.height <= innerHeight;
    this.#menu.style.left = `${Math.max(8, Math.min(at.right - size.width, innerWidth - size.width - 8))}px`;
    this.#menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - 4 - size.height)}px`;
  }

  #walk(event) {
    const items = [...this.#menu.children];
    const here = items.indexOf(document.activeElement);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === 'Tab') this.#menu.hidePopover();
    if (next === undefined) return;
    event.preventDefault();
    items.at(next % items.length).focus();
  }

  #drain(upstream, backend) {
    const deadline = make('input', { id: 'ask-deadline', type: 'text', placeholder: 'server.drain_timeout', autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'ask-deadline-note' });
    const note = make('p', { class: 'note', id: 'ask-deadline-note' }, 'Such as 30s or 5m, at most 24h. Clients with a cookie for it stay until then; WebSockets still open are cut.');
    this.#open({
      title: `Drain ${backend.id}?`,
      verb: 'Drain',
      doing: 'Draining…',
      says: () => {
        const now = this.#latest.backend(upstream.name, backend.id) ?? { upstream, backend };
        return [`It gets no new clients; ${inFlight(now.backend)}.`, ...consequences(now)];
      },
      fields: [make('label', { for: 'ask-deadline' }, 'Deadline (optional)'), deadline, note],
      done: `${backend.id} drains.`,
      act: () => {
        const text = deadline.value.trim();
        return this.#patch(upstream, backend, text ? { state: 'draining', deadline: text } : { state: 'draining' });
      },
    });
  }

  #maintain(upstream, backend) {
    this.#open({
      title: `Put ${backend.id} in maintenance?`,
      verb: 'Put in maintenance',
      doing: 'Asking…',
      says: () => {
        const now = this.#latest.backend(upstream.name, backend.id) ?? { upstream, backend };
        return [`It gets nothing from now on, not even clients with a cookie for it; ${inFlight(now.backend)}.`, ...consequences(now)];
      },
      done: `${backend.id} is in maintenance.`,
      act: () => this.#patch(upstream, backend, { state: 'maintenance' }),
    });
  }

  #activate(upstream, backend) {
    this.#open({
      title: `Activate ${backend.id}?`,
      verb: 'Activate',
      doing: 'Activating…',
      says: () => ['It gets requests again, as its health allows: at once if nothing else speaks against it.'],
      done: `${backend.id} is active.`,
      act: () => this.#patch(upstream, backend, { state: 'active' }),
    });
  }

  #weigh(upstream, backend) {
    const input = make('input', { id: 'ask-weight', type: 'number', min: '1', max: '65535', step: '1', value: String(backend.weight ?? 1), required: true });
    const own = make('input', { id: 'ask-own', type: 'checkbox' });
    own.addEventListener('change', () => {
      input.disabled = own.checked;
      this.#follow();
    });
    input.addEventListener('input', () => this.#follow());
    const isSet = backend.operator?.weight != null;
    const fields = [make('label', { for: 'ask-weight' }, 'Weight, 1 to 65535'), input];
    if (isSet) fields.push(make('label', { class: 'check-label' }, own, ' Its own weight again, as configured or registered'));
    this.#open({
      title: `Change the weight of ${backend.id}?`,
      verb: 'Change weight',
      doing: 'Changing…',
      says: () => {
        const now = this.#latest.backend(upstream.name, backend.id) ?? { upstream, backend };
        return [own.checked ? 'It gets back the weight it had before the operator changed it.' : outlook(now, input.valueAsNumber), 'In force at once, until it is changed again or the process ends.'];
      },
      fields,
      done: `The weight of ${backend.id} is changed.`,
      act: () => this.#patch(upstream, backend, { weight: own.checked ? null : input.valueAsNumber }),
    });
  }

  algorithm(upstream) {
    const names = upstream.algorithms ?? [upstream.algorithm];
    const configured = upstream.algorithm_configured;
    const select = make('select', { id: 'ask-algorithm' });
    if (configured) select.append(make('option', { value: '' }, `As configured (${words(configured)})`));
    for (const name of names) if (name !== configured) select.append(make('option', { value: name }, words(name)));
    select.value = upstream.operator?.algorithm ?? select.options[0].value;
    select.addEventListener('change', () => this.#follow());
    this.#open({
      title: `Change the algorithm of ${upstream.name}?`,
      verb: 'Change algorithm',
      doing: 'Changing…',
      says: () => {
        const name = select.value || configured || upstream.algorithm;
        const meaning = meaningOfAlgorithm(name);
        return [`New requests go by ${words(name)}${meaning ? `: ${meaning}` : ''}. Nothing in flight is moved.`];
      },
      fields: [make('label', { for: 'ask-algorithm' }, `Algorithm; now ${words(upstream.algorithm)}`), select],
      done: `The algorithm of ${upstream.name} is changed.`,
      act: () => this.#api.patch(`upstreams/${encodeURIComponent(upstream.name)}`, { algorithm: select.value || null }),
    });
  }

  /** Pauses the scaling of an upstream, or resumes it. */
  scaling(target) {
    const name = target.upstream;
    const pauses = !target.paused;
    const says = pauses ? staying : goingOn;
    this.#open({
      title: `${pauses ? 'Pause' : 'Resume'} the scaling of ${name}?`,
      verb: pauses ? 'Pause' : 'Resume',
      doing: pauses ? 'Pausing…' : 'Resuming…',
      says: () => says(this.#latest.target(name) ?? target),
      done: pauses ? `The scaling of ${name} is paused.` : `The scaling of ${name} goes on.`,
      act: () => this.#api.patch(`autoscaler/${encodeURIComponent(name)}`, { paused: pauses }),
    });
  }

  #patch(upstream, backend, change) {
    const path = `upstreams/${encodeURIComponent(upstream.name)}/backends/${encodeURIComponent(backend.id)}`;
    return this.#api.patch(path, change);
  }

  #open({ title, verb, doing, says, fields = [], done, act }) {
    const text = make('div', { class: 'says' });
    const error = make('div', { class: 'error', role: 'alert', hidden: true });
    const cancel = make('button', { type: 'button', class: 'quiet', on: { click: () => this.#dialog.close() } }, 'Cancel');
    const submit = make('button', { type: 'submit', class: 'primary' }, verb);
    const form = make('form', { method: 'dialog' }, make('h2', { id: 'ask-title' }, title), text, ...fields, error, make('div', { class: 'buttons' }, cancel, submit));
    this.#follow = () => write(text, says());
    this.#follow();
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      submit.disabled = true;
      setText(submit, doing);
      show(error, false);
      try {
        await act();
        this.#dialog.close();
        say(done);
        this.#refresh();
      } catch (problem) {
        refused(error, problem);
      } finally {
        submit.disabled = false;
        setText(submit, verb);
      }
    });
    this.#dialog.replaceChildren(form);
    this.#dialog.showModal();
    // Enter on a question without fields must not do what it asks by accident.
    (fields.find((field) => field.matches('input, select')) ?? cancel).focus();
  }
}

/** One paragraph per sentence, unchanged ones left alone. */
function write(node, sentences) {
  while (node.children.length > sentences.length) node.lastElementChild.remove();
  while (node.children.length < sentences.length) node.append(make('p'));
  sentences.forEach((sentence, index) => setText(node.children[index], sentence));
}

function inFlight(backend) {
  if (!known(backend.in_flight)) return 'what is in flight finishes';
  if (backend.in_flight === 0) return 'nothing is in flight';
  return `${plural(backend.in_flight, 'request')} in flight ${backend.in_flight === 1 ? 'finishes' : 'finish'}`;
}

/** What becomes of an upstream whose scaling is paused. */
function staying({ pool, leaving }) {
  const size = pool ? ` at ${plural(pool.size, 'backend')}` : ' as it is';
  const says = [`It stays${size}, whatever the load: decisions are made and shown, and nothing is done.`];
  if (leaving.length > 0) says.push(`${leaving.length === 1 ? 'The one that is leaving goes' : `The ${count(leaving.length)} that are leaving go`} on leaving.`);
  return [...says, 'Until it is resumed or the process ends; a reload changes nothing about it.'];
}

/** What becomes of one that is resumed. */
function goingOn({ pool, decision, dry_run: isDry }) {
  if (isDry) return ['It goes on with its dry run: nothing is done.'];
  if (!pool || !decision) return ['It acts with its next look, once the driver can be asked.'];
  const isChange = decision.size !== pool.size;
  return [isChange ? `It would go from ${count(pool.size)} to ${plural(decision.size, 'backend')} with its next look.` : `It stays at ${plural(pool.size, 'backend')} for now.`];
}

/** What the others will have to do without this one. */
function consequences({ upstream, backend }) {
  if (!isAvailable(backend)) return [];
  const others = upstream.backends.filter((one) => one.id !== backend.id && isAvailable(one));
  const held = upstream.backends.filter((one) => one.id !== backend.id && !isAvailable(one) && !isHeld(one));
  if (others.length === 0) {
    const hope = held.length > 0 ? 'Those that are out for their health may be tried; otherwise clients get 503.' : 'Clients will get 503.';
    return [`No other backend of ${upstream.name} serves. ${hope}`];
  }
  const share = known(backend.traffic_share) ? `Its ${percent(backend.traffic_share)} of the traffic goes` : 'Its traffic goes';
  return [`${share} to ${others.length === 1 ? others[0].id : `${count(others.length)} others`}.`];
}

/** What a weight would make of the shares, as far as weights decide. */
function outlook({ upstream, backend }, weight) {
  if (!known(weight) || weight < 1) return 'A weight is a whole number from 1 to 65535.';
  const serving = upstream.backends.filter((one) => isAvailable(one) && Boolean(one.backup) === Boolean(backend.backup));
  const rest = serving.filter((one) => one.id !== backend.id).reduce((sum, one) => sum + (one.weight ?? 0), 0);
  const now = (backend.weight ?? 0) / (rest + (backend.weight ?? 0) || 1);
  return `Its share by weight becomes ${percent(weight / (rest + weight))}; now it is ${percent(now)}.`;
}

/** Shows why a call was refused: code, message and hint. */
export function refused(node, problem) {
  const code = problem.code ? make('code', {}, problem.code) : null;
  const lines = (problem.errors ?? []).map((line) => make('p', {}, line));
  const hint = problem.hint ? make('p', { class: 'note' }, `Hint: ${problem.hint}`) : null;
  node.replaceChildren(make('p', {}, ...[code, code && ' ', problem.message].filter(Boolean)), ...lines, ...[hint].filter(Boolean));
  show(node, true);
}

let silence = null;

/** Tells in passing that something is done. */
function say(text) {
  const node = byId('said');
  setText(node, text);
  node.classList.add('visible');
  clearTimeout(silence);
  silence = setTimeout(() => node.classList.remove('visible'), 4_000);
}
