import { beforeEach, describe, expect, it } from 'vitest';
import { Consumer, createUserRing, Producer, records, type UserRing } from '../../src/ring/index.js';
import { SpaceQueue, type WaitingRun } from '../../src/server/space-queue.js';
import { buildRun } from '../../src/wire/index.js';

const RING = 4096;
const SAMPLE = 504;
/** A record of SAMPLE bytes takes an eighth of the ring. */
const RECORD = 512;

describe('the queue for room', () => {
  let ring: UserRing;
  let producer: Producer;
  let queue: SpaceQueue;
  let log: string[];

  beforeEach(() => {
    ring = createUserRing({ maxEntries: RING });
    producer = new Producer(ring);
    queue = new SpaceQueue(ring, producer);
    log = [];
  });

  /** A run of `count` records whose samples are filled with `mark`. */
  const waiting = (name: string, mark: number, count: number, atomic = false): WaitingRun => {
    const run = buildRun(Array.from({ length: count }, () => new Uint8Array(SAMPLE).fill(mark)));
    return {
      run,
      view: new DataView(run.buffer),
      at: 0,
      atomic,
      stored: (stored, bytes) => void log.push(`${name} +${stored} (${bytes} bytes)`),
      done: () => void log.push(`${name} done`),
    };
  };
  const fill = (count: number): void => {
    for (let i = 0; i < count; i++) producer.output(new Uint8Array(SAMPLE));
  };
  /** Makes room for `count` records and serves, as a drain does. */
  const drain = (count: number): void => {
    let left = count;
    new Consumer(ring).drain(() => (--left <= 0 ? 1 : 0), null);
    queue.serve();
  };
  const marks = (): number[] => [...records(ring)].map((record) => record.payload(1)[0]!);

  it('stores what fits at once and the rest as room appears', () => {
    fill(6);
    queue.join(waiting('a', 1, 5));
    expect(log).toEqual([`a +2 (${2 * RECORD} bytes)`]);
    drain(1);
    drain(2);
    expect(log.slice(1)).toEqual([`a +1 (${RECORD} bytes)`, `a +2 (${2 * RECORD} bytes)`, 'a done']);
    expect([marks(), queue.length]).toEqual([[0, 0, 0, 1, 1, 1, 1, 1], 0]);
  });

  it('lets nobody newer pass, not even one that would fit', () => {
    fill(8);
    queue.join(waiting('a', 1, 2, true));
    queue.join(waiting('b', 2, 1));
    expect(queue.roomForNewcomers).toBe(0);
    drain(1);
    // One record is free: b would fit, a does not.
    expect([log, queue.roomForNewcomers, ring.free]).toEqual([[], 0, RECORD]);
    drain(1);
    expect(log).toEqual([`a +2 (${2 * RECORD} bytes)`, 'a done']);
    drain(1);
    expect([marks().slice(-3), queue.length]).toEqual([[1, 1, 2], 0]);
  });

  it('serves in order of arrival, as many as fit', () => {
    fill(8);
    for (const [name, mark] of [
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['d', 4],
    ] as const)
      queue.join(waiting(name, mark, 1));
    drain(3);
    expect(log.filter((line) => line.endsWith('done'))).toEqual(['a done', 'b done', 'c done']);
    expect([marks().slice(-3), queue.length]).toEqual([[1, 2, 3], 1]);
  });

  it('stores an atomic run as a whole or not at all', () => {
    fill(8);
    queue.join(waiting('a', 1, 3, true));
    drain(1);
    drain(1);
    expect([log, ring.used]).toEqual([[], 6 * RECORD]);
    drain(1);
    expect(log).toEqual([`a +3 (${3 * RECORD} bytes)`, 'a done']);
  });

  it('gives newcomers the free room only while nobody waits', () => {
    expect(queue.roomForNewcomers).toBe(RING);
    fill(7);
    expect(queue.roomForNewcomers).toBe(RECORD);
    queue.join(waiting('a', 1, 2, true));
    expect(queue.roomForNewcomers).toBe(0);
    drain(8);
    expect(queue.roomForNewcomers).toBe(RING - 2 * RECORD);
  });

  it('forgets one that left, keeps what was stored of it, and serves those behind it', () => {
    fill(7);
    const gone = waiting('a', 1, 2);
    queue.join(gone);
    queue.join(waiting('b', 2, 1));
    queue.leave(gone);
    queue.leave(gone);
    expect(queue.length).toBe(1);
    drain(1);
    expect([marks(), log]).toEqual([
      [0, 0, 0, 0, 0, 0, 1, 2],
      [`a +1 (${RECORD} bytes)`, `b +1 (${RECORD} bytes)`, 'b done'],
    ]);
  });

  it('takes one that joins again from within done(): it stands at the end', () => {
    fill(8);
    const again = waiting('a2', 3, 1);
    queue.join({ ...waiting('a', 1, 1), done: () => queue.join(again) });
    queue.join(waiting('b', 2, 1));
    drain(3);
    expect(marks().slice(-3)).toEqual([1, 2, 3]);
    expect(queue.length).toBe(0);
  });

  it('moves a run larger than the ring through it, piece by piece', () => {
    const big = waiting('a', 1, 20);
    queue.join(big);
    let released = 0;
    while (queue.length > 0) {
      released += 8;
      drain(8);
    }
    expect([released, log.at(-1), ring.producerPosition]).toEqual([16, 'a done', BigInt(20 * RECORD)]);
  });
});
