// What the API's words mean: states, reasons, algorithms, and what speaks for which tone and icon.

import { words } from './format.js';

/** Tone of each state: how much it should worry. */
const TONES = {
  up: 'ok',
  warming: 'info',
  half_open: 'info',
  suspect: 'warn',
  ejected: 'bad',
  down: 'bad',
  expired: 'bad',
  draining: 'held',
  maintenance: 'held',
};

const REASONS = {
  healthy: '',
  slow_start: 'its share grows',
  latency: 'slower than its peers',
  consecutive_failures: 'several requests in a row failed',
  failure_ratio: 'too many of its requests failed',
  connect_failed: 'refuses connections',
  not_checked: 'no check has passed yet',
  check_failed: 'its checks fail',
  ttl_expired: 'no heartbeat in time',
  // The autoscaler drains by the same command.
  operator: 'asked for by an operator or the autoscaler',
};

const ALGORITHMS = {
  adaptive: 'chooses one of the others by what it sees',
  round_robin: 'each in turn, weights ignored',
  weighted_round_robin: 'each in turn, by weight',
  least_connections: 'the one with the least in flight for its weight',
  weighted_response_time: 'the one that answers soonest',
  power_of_two: 'the less busy of two drawn by weight',
  random: 'a draw by weight',
  ip_hash: 'by the client’s address',
  consistent_hash: 'by key, on a ring with bounded load',
  maglev: 'by key, from a table',
};

const TRIGGERS = {
  file: 'by a change of the file',
  signal: 'by signal',
  api: 'through the API',
  start: 'at the start',
};

/** Why the autoscaler changes a size, or leaves it as it is. */
const DECISIONS = {
  load: 'the load has left its band',
  forecast: 'so many will be needed',
  replace_failing: 'failing backends leave too few',
  below_min: 'there are fewer than the least',
  above_max: 'there are more than the most',
  within_band: 'the load is within its band',
  tolerance: 'the load has left its band, but by less than is worth a change',
  best_fit: 'the load has left its band, but no other number would suit it better',
  warming: 'backends are on their way',
  at_max: 'more are needed, and there may be no more',
  at_min: 'fewer are needed, and there may be no fewer',
  stabilising: 'a change was not called for throughout the window',
  step_limit: 'as many as a period allows have come or gone in it',
  cooldown: 'the last change is not long enough ago',
  signal_failed: 'a signal could not be measured, so it does not shrink',
  all_failed: 'no signal could be measured',
  mostly_failing: 'most backends fail, and what is measured says little',
  none_ready: 'no backend is ready, and what is measured says nothing',
  crash_loop: 'new backends do not start',
};

/** Those of them that somebody should look at. */
const WORRYING = new Set(['at_max', 'signal_failed', 'all_failed', 'mostly_failing', 'none_ready', 'crash_loop']);

/** States in which every request may go to a backend. */
const AVAILABLE = new Set(['up', 'warming', 'suspect']);

export const toneOf = (state) => TONES[state] ?? 'none';
export const iconOf = (state) => (state in TONES ? state : 'unknown');
export const isAvailable = (backend) => AVAILABLE.has(backend.state);

/** Whether the operator has taken it out: it is not missed. */
export const isHeld = (backend) => toneOf(backend.state) === 'held';

/** What led to a reload. */
export const by = (trigger) => TRIGGERS[trigger] ?? trigger ?? '';

export const meaningOfReason = (reason) => REASONS[reason] ?? words(reason);
export const meaningOfDecision = (reason) => DECISIONS[reason] ?? words(reason);
export const isWorrying = (reason) => WORRYING.has(reason);
export const meaningOfAlgorithm = (name) => ALGORITHMS[name] ?? '';
