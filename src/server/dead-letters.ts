/**
 * Takes the sample at the head of a ring out of it, into another map. It is stored there first and released here then,
 * with nothing in between that could end otherwise: it is never lost, and never there twice in the life of a process.
 */
import { SampleRun, type Consumer, type UserRing } from '../ring/index.js';
import { buildRun } from '../wire/index.js';
import type { Clock } from './clock.js';
import { encodeDeadLetter } from './dead-letter-envelope.js';
import type { DeadLetterTarget } from './dead-letter-target.js';
import { RingbufdError } from './errors.js';
import type { Failure } from './handler-health.js';

/** Who could not take a sample, and why. */
export interface Blame {
  handler: string;
  kind: string;
  failure: Failure;
  attempts: number;
  /** Name of the dead-letter map. */
  map: string;
}

/** A sample that has gone. */
export interface Burial {
  position: bigint;
}

export interface DeadLettersDeps {
  map: string;
  incarnation: string;
  ring: UserRing;
  consumer: Consumer;
  clock: Clock;
  target: (map: string) => DeadLetterTarget | undefined;
}

export class DeadLetters {
  readonly #deps: DeadLettersDeps;
  /** Stored in the target, but not known to be durable there: it is not stored again. */
  #stored: { position: bigint; incarnation: string } | undefined;

  constructor(deps: DeadLettersDeps) {
    this.#deps = deps;
  }

  /**
   * Moves the sample at the head of a ring that is not being drained. The busy bit is held until it is done; the consumer's
   * report then says what was released.
   * @returns what was moved, `undefined` when there is no sample at the head; later only where the target has a journal
   * @throws RingbufdError NO_MAP, NOT_ALLOWED_HERE, NEVER_FITS, RING_FULL, also as a rejection: the sample stays
   */
  bury(blame: Blame): Burial | undefined | Promise<Burial> {
    const { ring, consumer } = this.#deps;
    const run = new SampleRun(ring, 1);
    consumer.begin(0);
    let waiting: Promise<void> | undefined;
    try {
      if (consumer.peekRun(run, Infinity) <= 0) {
        consumer.end(0);
        return undefined;
      }
      waiting = this.#store(run, blame);
    } catch (error) {
      consumer.end(0);
      throw error;
    }
    if (waiting === undefined) return this.#release(run);
    return waiting.then(
      () => this.#release(run),
      (error: unknown) => {
        consumer.end(0);
        throw error;
      },
    );
  }

  #store(run: SampleRun, { handler, kind, failure, attempts, map: name }: Blame): Promise<void> | undefined {
    const { map, incarnation, ring, clock, target: lookUp } = this.#deps;
    const target = lookUp(name);
    if (target === undefined) throw new RingbufdError('NO_MAP', `there is no dead-letter map "${name}"`);
    const position = ring.consumerPosition;
    const again = this.#stored?.position === position && this.#stored.incarnation === target.incarnation;
    if (!again) {
      const letter = encodeDeadLetter({
        map,
        incarnation,
        position,
        handler,
        kind,
        errno: failure.errno,
        reason: failure.message,
        attempts,
        timeMs: clock.wallMs(),
        sample: run.sampleAt(0).copy(),
      });
      target.store(buildRun([letter]));
      this.#stored = { position, incarnation: target.incarnation };
    }
    return target.settled();
  }

  #release(run: SampleRun): Burial {
    const { ring, consumer } = this.#deps;
    const position = ring.consumerPosition;
    consumer.releaseRun(run, 1);
    consumer.end(0);
    this.#stored = undefined;
    return { position };
  }
}
