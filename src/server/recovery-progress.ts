import type { Logger } from 'pino';
import type { Clock } from './clock.js';

/** A recovery that takes less says nothing; a longer one says so often how far it is. In ms. */
const EVERY_MS = 2000;

/** Log lines while large journals are taken up: before the daemon listens, nobody else can tell that it is alive. */
export class RecoveryProgress {
  readonly #clock: Pick<Clock, 'nowMs'>;
  readonly #logger: Pick<Logger, 'info'>;
  #map: string | undefined;
  #saidAtMs = 0;

  constructor(clock: Pick<Clock, 'nowMs'>, logger: Pick<Logger, 'info'>) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @param done bytes of the phase, of `total` */
  report(map: string, phase: 'reading' | 'verifying', done: number, total: number): void {
    const now = this.#clock.nowMs();
    if (map !== this.#map) {
      this.#map = map;
      this.#saidAtMs = now;
      return;
    }
    if (now - this.#saidAtMs < EVERY_MS) return;
    this.#saidAtMs = now;
    this.#logger.info({ map, phase, done_bytes: done, total_bytes: total }, 'recovering a journal');
  }
}
