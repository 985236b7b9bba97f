// The admin API from the page's side: the token, the errors, and the stream of events.

const TOKEN = 'evenkeel.token';
const BASE = 'api/v1/';
/** A call that takes longer is given up. */
const PATIENCE = 5_000;
/** The server says something every 10 s; a stream that is silent for longer is dead. */
const SILENCE = 25_000;
/** More than this without a line break is no stream of events. */
const MAX_LINE = 1 << 20;

/** Why a call did not succeed. `status` is 0 where nothing answered. */
export class Problem extends Error {
  constructor(status, { code = null, message, hint = null, errors = [] }) {
    super(message);
    Object.assign(this, { status, code, hint, errors });
  }
}

/** The API, with the token of this tab. */
export class Api {
  #token = remembered();

  get hasToken() {
    return this.#token !== null;
  }

  /** Whether a refusal is of the token in use, not of one before it. */
  isCurrent(problem) {
    return problem.token === this.#token;
  }

  /** Keeps a token for this tab, or forgets it. */
  keep(token) {
    this.#token = token;
    try {
      if (token === null) sessionStorage.removeItem(TOKEN);
      else sessionStorage.setItem(TOKEN, token);
    } catch {
      // Where storage is forbidden the token lives as long as the page.
    }
  }

  /** The body of a GET, and the answer's headers. */
  async get(path) {
    const answer = await this.#fetch('GET', path, { signal: AbortSignal.timeout(PATIENCE) });
    return { body: await parsed(answer), headers: answer.headers };
  }

  /** Changes something. */
  async patch(path, change) {
    const headers = { 'Content-Type': 'application/json' };
    const signal = AbortSignal.timeout(PATIENCE);
    const answer = await this.#fetch('PATCH', path, { headers, body: JSON.stringify(change), signal });
    return parsed(answer);
  }

  /** The events after the one with this id, as they come; ends with a problem. */
  async *events(after, signal) {
    const dead = new AbortController();
    const both = AbortSignal.any([signal, dead.signal]);
    let alarm = setTimeout(() => dead.abort(), PATIENCE);
    const heard = () => {
      clearTimeout(alarm);
      alarm = setTimeout(() => dead.abort(), SILENCE);
    };
    try {
      const headers = { Accept: 'text/event-stream' };
      const answer = await this.#fetch('GET', `events?after=${encodeURIComponent(after)}`, { headers, signal: both });
      heard();
      yield* messages(answer.body.pipeThrough(new TextDecoderStream()), heard);
    } finally {
      clearTimeout(alarm);
      dead.abort();
    }
  }

  async #fetch(method, path, { headers = {}, ...rest }) {
    const token = this.#token;
    if (token !== null) headers.Authorization = `Bearer ${token}`;
    let answer;
    try {
      answer = await fetch(BASE + path, { method, headers, cache: 'no-store', redirect: 'error', ...rest });
    } catch (error) {
      const message = error.name === 'TimeoutError' ? 'no answer in time' : 'no answer';
      throw new Problem(0, { message });
    }
    if (answer.ok) return answer;
    const problem = await refusal(answer);
    problem.token = token;
    throw problem;
  }
}

function remembered() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

async function parsed(answer) {
  try {
    return await answer.json();
  } catch (error) {
    if (error instanceof SyntaxError) throw new Problem(answer.status, { message: 'the answer is no JSON' });
    throw new Problem(0, { message: 'the answer broke off' });
  }
}

/** What the API says about a call that it refuses. */
async function refusal(answer) {
  const said = await answer.json().catch(() => null);
  const is = (value) => (typeof value === 'string' ? value : null);
  return new Problem(answer.status, {
    code: is(said?.code) ?? `HTTP ${answer.status}`,
    message: is(said?.message) ?? 'the call was refused',
    hint: is(said?.hint),
    errors: Array.isArray(said?.errors) ? said.errors.map(String) : [],
  });
}

/** Takes a stream apart as the standard for server-sent events says. */
async function* messages(stream, heard) {
  let rest = '';
  let data = [];
  const reader = stream.getReader();
  for (;;) {
    const { value, done } = await reader.read().catch(() => ({ done: true }));
    if (done) throw new Problem(0, { message: 'the events ended' });
    heard();
    rest += value;
    // A CR at the end may be half of a line break.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    if (rest.length > MAX_LINE) throw new Problem(0, { message: 'a line of the events is too long' });
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
      if (line !== '' || data.length === 0) continue;
      const text = data.join('\n');
      data = [];
      yield text;
    }
  }
}
