// Keeps the page up to date: looks once a second while somebody can see it, listens to the events,
// and goes on doing so whatever becomes of the server.

import { Problem } from './api.js';
import { epoch, known } from './format.js';

const EVERY = 1_000;
/** Between two looks when events ask for more. */
const AT_LEAST = 150;
/** Decisions of the autoscaler that are shown of each of its targets. */
const DECISIONS = 20;
const FIRST_RETRY = 500;
const LAST_RETRY = 8_000;

/** Sleeps that can be ended from outside. */
class Nap {
  #end = () => {};

  take(length) {
    return new Promise((done) => {
      const timer = known(length) ? setTimeout(done, length) : null;
      this.#end = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  end() {
    this.#end();
  }
}

/**
 * Tells `page` what it learns: `answered(status, upstreams, targets)`, `happened(event)`, `missed(count)` for
 * events that are kept no more, `restarted()` for another process, `failed(problem)`, and
 * `refused(problem)` for a token that is missing or wrong.
 */
export class Live {
  #api;
  #page;
  #looking = new Nap();
  #listening = new Nap();
  #stream = null;
  #lastLook = -Infinity;
  #locked = false;
  #process = null;
  #newest = 0;

  constructor(api, page) {
    this.#api = api;
    this.#page = page;
  }

  start() {
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#stream?.abort();
      this.#wake();
    });
    addEventListener('online', () => this.#wake());
    this.#keepLooking();
    this.#keepListening();
  }

  /** Looks now. */
  refresh() {
    this.#looking.end();
  }

  /** Goes on after a refusal, with another token. */
  unlock() {
    this.#locked = false;
    this.#wake();
  }

  #wake() {
    this.#looking.end();
    this.#listening.end();
  }

  get #mayAsk() {
    return !document.hidden && !this.#locked;
  }

  async #keepLooking() {
    for (;;) {
      if (!this.#mayAsk) {
        await this.#looking.take(null);
        continue;
      }
      const begun = performance.now();
      this.#lastLook = begun;
      await this.#guarded(() => this.#look());
      const taken = performance.now() - begun;
      // What takes long to answer is asked for less often.
      await this.#looking.take(Math.max(EVERY - taken, taken, AT_LEAST));
      const early = AT_LEAST - (performance.now() - this.#lastLook);
      if (early > 0) await new Promise((done) => setTimeout(done, early));
    }
  }

  async #look() {
    const paths = ['status', 'upstreams', `autoscaler?recent=${DECISIONS}`];
    const [status, upstreams, autoscaler] = await Promise.all(paths.map((path) => this.#api.get(path)));
    this.#know(status.body);
    this.#page.answered(status, upstreams.body.upstreams ?? [], autoscaler.body.targets ?? []);
  }

  /** Another process counts its events from the beginning. */
  #know(status) {
    const started = epoch(status.started);
    const isOther = this.#process !== null && started !== null && Math.abs(started - this.#process) > 0.5;
    this.#process = started ?? this.#process ?? 0;
    if (!isOther) return;
    this.#newest = 0;
    this.#page.restarted();
    this.#stream?.abort();
    this.#listening.end();
  }

  async #keepListening() {
    let retry = FIRST_RETRY;
    for (;;) {
      if (!this.#mayAsk || this.#process === null) {
        await this.#listening.take(this.#mayAsk ? AT_LEAST : null);
        continue;
      }
      const wasHeard = await this.#guarded(() => this.#listen());
      retry = wasHeard ? FIRST_RETRY : Math.min(retry * 2, LAST_RETRY);
      if (this.#mayAsk) await this.#listening.take(retry * (0.75 + Math.random() / 2));
    }
  }

  /** Listens until the stream ends; whether anything was heard. */
  async #listen() {
    const stream = new AbortController();
    this.#stream = stream;
    let wasHeard = false;
    try {
      for await (const text of this.#api.events(this.#newest, stream.signal)) {
        wasHeard = true;
        this.#take(text);
      }
    } catch (problem) {
      // Whether the server answers is the other loop's to say; only a refusal counts here.
      if (problem.status === 401) throw problem;
      if (!(problem instanceof Problem)) throw problem;
    } finally {
      this.#stream = null;
    }
    return wasHeard;
  }

  #take(text) {
    let event;
    try {
      event = JSON.parse(text);
    } catch {
      return;
    }
    if (known(event?.lost)) this.#page.missed(event.lost);
    if (!known(event?.id) || event.id <= this.#newest) return;
    this.#newest = event.id;
    this.#page.happened(event);
    this.refresh();
  }

  /** Runs a step; its problems are the page's to show, and none ends the loop. */
  async #guarded(step) {
    try {
      return await step();
    } catch (problem) {
      if (!(problem instanceof Problem)) {
        console.error(problem);
      } else if (problem.status === 401) {
        if (!this.#api.isCurrent(problem)) return false;
        this.#locked = true;
        this.#page.refused(problem);
      } else {
        this.#page.failed(problem);
      }
      return false;
    }
  }
}
