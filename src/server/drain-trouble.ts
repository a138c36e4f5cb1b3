/** What drains go wrong with, as the counters and the log say it: once, until it goes away or changes. */
import type { Logger } from 'pino';
import { outcomeErrno, type DrainOutcome } from './drain-runner.js';
import { RingbufdError } from './errors.js';
import type { RegisteredHandler } from './handler-table.js';
import type { MapCounters } from './map-counters.js';

export class DrainTrouble {
  readonly #map: string;
  readonly #counters: MapCounters;
  readonly #logger: Logger;

  constructor(map: string, counters: MapCounters, logger: Logger) {
    this.#map = map;
    this.#counters = counters;
    this.#logger = logger;
  }

  /**
   * A drain ended with an errno, or did not. Not logged once per drain, and never once per sample.
   * @param before message of the handler's last error before it
   */
  failed({ name, health }: RegisteredHandler, outcome: DrainOutcome, before: string | undefined): void {
    const errno = outcomeErrno(outcome);
    if (errno === undefined) return;
    this.#counters.drainError(errno);
    if (health.lastError?.message === before) return;
    this.#logger.warn(
      { map: this.#map, handler: name, errno, err: outcome.error },
      health.faulted
        ? 'a drain failed; its attempts are used up, and the handler is faulted'
        : 'a drain failed; its sample stays at the head of the ring',
    );
  }

  /** A dead-letter map did not take its sample. */
  letterRefused({ name, health }: RegisteredHandler, error: unknown): void {
    const errno = error instanceof RingbufdError ? error.errno : 'EIO';
    const before = health.deadLetterError?.message;
    health.refused(errno, error);
    this.#counters.refuse(errno, 'dead_letter');
    if (health.deadLetterError?.message !== before)
      this.#logger.warn(
        { map: this.#map, handler: name, errno, err: error },
        'a dead letter was not taken; its sample stays',
      );
  }

  /** What a drain has put into another map will never be durable. */
  emitsLost({ name }: RegisteredHandler, error: unknown): void {
    this.#counters.drainError('EIO');
    this.#logger.error(
      { map: this.#map, handler: name, err: error },
      'a map that this handler emits into has failed: its samples stay in the journal, nothing more is drained until the daemon is started anew',
    );
  }
}

/** What a promise was rejected with; `undefined` when it was not. */
export async function failureOf(promise: Promise<void>): Promise<unknown> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error ?? new RingbufdError('JOURNAL_FAILED');
  }
}
