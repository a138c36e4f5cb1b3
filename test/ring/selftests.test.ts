import { EventEmitter, once } from 'node:events';
import { Consumer, Producer, createUserRing, type RingMode } from '../../src/ring/index.js';
import {
  runKernelSelftests,
  type SelftestDrain,
  type SelftestMap,
  type SelftestReservation,
} from './selftests.case.js';

interface RingReservation extends SelftestReservation {
  offset: number;
}

/** A ring in this process. A drain that wakes is an event. */
class LocalMap implements SelftestMap {
  readonly #ring;
  readonly #producer;
  readonly #consumer;
  readonly #wakeups = new EventEmitter();

  constructor(maxEntries: number, mode: RingMode) {
    this.#ring = createUserRing({ maxEntries }, { mode });
    this.#producer = new Producer(this.#ring);
    this.#consumer = new Consumer(this.#ring);
  }

  async reserve(size: number): Promise<RingReservation | number> {
    return this.#reserve(size);
  }

  async reserveBlocking(size: number, timeoutMs: number): Promise<RingReservation | number> {
    const timeout = AbortSignal.timeout(timeoutMs);
    for (;;) {
      // Nothing may come between the refusal and the wait: a wakeup in between would be missed.
      const reservation = this.#reserve(size);
      if (reservation !== -28 || timeout.aborted) return reservation;
      await once(this.#wakeups, 'wakeup', { signal: timeout }).catch(() => undefined);
    }
  }

  async submit(reservation: SelftestReservation, payload: Uint8Array): Promise<void> {
    const { offset } = reservation as RingReservation;
    this.#producer.fill(offset, payload);
    this.#producer.submit(offset);
  }

  async discard(reservation: SelftestReservation): Promise<void> {
    this.#producer.discard((reservation as RingReservation).offset);
  }

  async write(offset: bigint, bytes: Uint8Array): Promise<number> {
    return this.#producer.write(Number(offset), bytes);
  }

  async commit(producerPosition: bigint): Promise<number> {
    this.#ring.producerPosition = producerPosition;
    return 0;
  }

  async drain(): Promise<SelftestDrain> {
    const samples: SelftestDrain['samples'] = [];
    const ret = this.#consumer.drain((sample) => {
      samples.push({ length: sample.size, head: sample.copy(32) });
      return 0;
    }, undefined);
    if (this.#consumer.report.wakeup) this.#wakeups.emit('wakeup');
    return { ret, samples };
  }

  async positions(): Promise<{ consumer: bigint; producer: bigint }> {
    return { consumer: this.#ring.consumerPosition, producer: this.#ring.producerPosition };
  }

  async close(): Promise<void> {}

  #reserve(size: number): RingReservation | number {
    const offset = this.#producer.reserve(size);
    return offset < 0 ? offset : { size, offset };
  }
}

runKernelSelftests({
  name: 'the ring itself',
  open: async ({ maxEntries, mode }) => new LocalMap(maxEntries, mode),
  guardsModes: false,
});
