import { beforeEach, describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Producer, records, type UserRing } from '../../src/ring/index.js';
import { RingbufdError } from '../../src/server/errors.js';
import { Reservations, type ReservationHolder } from '../../src/server/reservations.js';
import { ManualClock } from '../support/manual-clock.js';

const LEASE = 30_000;

describe('reservations', () => {
  let clock: ManualClock;
  let ring: UserRing;
  let producer: Producer;
  let expired: number[];
  let discarded: [position: bigint, size: number][];
  let table: Reservations;
  let alice: ReservationHolder;
  let bob: ReservationHolder;

  beforeEach(() => {
    clock = new ManualClock();
    ring = createUserRing({ maxEntries: 65536 });
    producer = new Producer(ring);
    expired = [];
    discarded = [];
    table = new Reservations(producer, clock, LEASE, {
      expired: (count) => void expired.push(count),
      discarded: (position, size) => void discarded.push([position, size]),
    });
    alice = { openReservations: 0 };
    bob = { openReservations: 0 };
  });

  const reserve = (holder: ReservationHolder, size = 8): bigint => {
    const position = ring.producerPosition;
    table.add(holder, position, producer.reserve(size), size);
    return position;
  };
  const refusal = (call: () => unknown): string => {
    try {
      call();
    } catch (error) {
      if (error instanceof RingbufdError) return `${error.errno} ${error.key}`;
      throw error;
    }
    return 'none';
  };
  const states = (): string[] => [...records(ring)].map(({ state }) => state);
  const bytes = (size: number): Uint8Array => new Uint8Array(size).fill(7);

  it('submits what was filled, byte for byte, and discards on demand', () => {
    const [first, second] = [reserve(alice, 5), reserve(alice, 8)];
    expect([states(), alice.openReservations, table.size]).toEqual([['busy', 'busy'], 2, 2]);
    table.submit(alice, first, Uint8Array.of(1, 2, 3, 4, 5));
    table.discard(alice, second);
    expect([states(), alice.openReservations, table.size]).toEqual([['ready', 'discarded'], 0, 0]);
    expect([...[...records(ring)][0]!.payload()]).toEqual([1, 2, 3, 4, 5]);
  });

  it("knows neither a position that was never reserved, nor one done with, nor another's", () => {
    const position = reserve(alice);
    expect(refusal(() => table.submit(alice, position + 8n, bytes(8)))).toBe('ENOENT NO_RESERVATION');
    expect(refusal(() => table.submit(bob, position, bytes(8)))).toBe('ENOENT NO_RESERVATION');
    expect(refusal(() => table.discard(bob, position))).toBe('ENOENT NO_RESERVATION');
    table.submit(alice, position, bytes(8));
    expect(refusal(() => table.submit(alice, position, bytes(8)))).toBe('ENOENT NO_RESERVATION');
    expect(refusal(() => table.discard(alice, position))).toBe('ENOENT NO_RESERVATION');
  });

  it('refuses a payload of the wrong size and leaves the reservation open', () => {
    const position = reserve(alice, 8);
    for (const size of [0, 7, 9])
      expect(refusal(() => table.submit(alice, position, bytes(size)))).toBe('EINVAL RESERVATION_SIZE');
    expect([states(), alice.openReservations]).toEqual([['busy'], 1]);
    table.submit(alice, position, bytes(8));
    expect(states()).toEqual(['ready']);
  });

  it('turns into a discard when the lease runs out, not a millisecond earlier', () => {
    const position = reserve(alice);
    clock.advance(LEASE - 1);
    expect([states(), expired]).toEqual([['busy'], []]);
    clock.advance(1);
    expect([states(), expired, alice.openReservations, table.size]).toEqual([['discarded'], [1], 0, 0]);
    expect(refusal(() => table.submit(alice, position, bytes(8)))).toBe('ESTALE RESERVATION_EXPIRED');
    expect(refusal(() => table.discard(alice, position))).toBe('ESTALE RESERVATION_EXPIRED');
    // To another connection it was never there.
    expect(refusal(() => table.submit(bob, position, bytes(8)))).toBe('ENOENT NO_RESERVATION');
  });

  it('expires in order of reservation, with one timer for all of them', () => {
    const first = reserve(alice);
    clock.advance(10_000);
    reserve(bob);
    clock.advance(10_000);
    reserve(alice);
    expect(clock.timers).toBe(1);
    table.submit(alice, first, bytes(8));
    clock.advance(10_000);
    expect([states(), expired]).toEqual([['ready', 'busy', 'busy'], []]);
    clock.advance(10_000);
    expect([states(), expired, clock.timers]).toEqual([['ready', 'discarded', 'busy'], [1], 1]);
    clock.advance(10_000);
    expect([states(), expired, clock.timers]).toEqual([['ready', 'discarded', 'discarded'], [1, 1], 0]);
  });

  it('starts its timer anew after all leases had ended', () => {
    reserve(alice);
    clock.advance(LEASE);
    expect(clock.timers).toBe(0);
    reserve(alice);
    clock.advance(LEASE);
    expect(expired).toEqual([1, 1]);
  });

  it('remembers a bounded number of expired positions, the newest', () => {
    const positions = Array.from({ length: 1025 }, () => reserve(alice));
    clock.advance(LEASE);
    expect(expired).toEqual([1025]);
    expect(refusal(() => table.discard(alice, positions[0]!))).toBe('ENOENT NO_RESERVATION');
    expect(refusal(() => table.discard(alice, positions[1]!))).toBe('ESTALE RESERVATION_EXPIRED');
    expect(refusal(() => table.discard(alice, positions[1024]!))).toBe('ESTALE RESERVATION_EXPIRED');
  });

  it('abandons what one connection holds and nothing else, so that a drain gets past it', () => {
    reserve(alice);
    const hers = reserve(bob);
    reserve(alice);
    expect(table.abandon(alice)).toBe(2);
    expect([states(), alice.openReservations, bob.openReservations]).toEqual([
      ['discarded', 'busy', 'discarded'],
      0,
      1,
    ]);
    expect(table.abandon(alice)).toBe(0);
    table.submit(bob, hers, bytes(8));
    expect(new Consumer(ring).drain(() => 0, null)).toBe(1);
    expect(ring.used).toBe(0);
  });

  it('ends its timer when the map goes away', () => {
    reserve(alice);
    table.close();
    expect(clock.timers).toBe(0);
    clock.advance(LEASE);
    expect(expired).toEqual([]);
  });
});
