import { describe, expect, it } from 'vitest';
import { createUserRing, Producer } from '../../src/ring/index.js';
import { RingbufdError } from '../../src/server/errors.js';
import { judgeOutput, ProducerState, ProducerStates } from '../../src/server/producer-states.js';
import { buildRun } from '../../src/wire/index.js';
import { ManualClock } from '../support/manual-clock.js';

describe('the sequence rules of OUTPUT', () => {
  const verdicts: [string, number, number, number, boolean, ReturnType<typeof judgeOutput>][] = [
    // what, last accepted, left open (0 = none), seq, RESEND, verdict
    ['the first', 0, 0, 1, false, 'store'],
    ['the next', 7, 0, 8, false, 'store'],
    ['the next, sent before but never seen here', 7, 0, 8, true, 'store'],
    ['one accepted already, resent', 7, 0, 7, true, 'already_accepted'],
    ['a much older one, resent', 7, 0, 1, true, 'already_accepted'],
    ['one accepted already, as if new', 7, 0, 7, false, 'out_of_sequence'],
    ['a gap', 7, 0, 9, false, 'out_of_sequence'],
    ['a gap, resent', 7, 0, 9, true, 'out_of_sequence'],
    ['number 0', 7, 0, 0, false, 'out_of_sequence'],
    ['number 0, resent', 7, 0, 0, true, 'out_of_sequence'],
    ['the open one, resent', 7, 8, 8, true, 'store'],
    ['the open one, with new content', 7, 8, 8, false, 'store'],
    ['the one behind the open one', 7, 8, 9, false, 'ignore'],
    ['an accepted one while another is open', 7, 8, 7, true, 'ignore'],
    ['an absurd one while another is open', 7, 8, 2 ** 53 - 1, false, 'ignore'],
  ];
  it.each(verdicts)('%s', (_what, lastSeq, open, seq, resend, verdict) => {
    expect(judgeOutput({ lastSeq }, open, { seq, resend })).toBe(verdict);
  });
});

describe('the state of a producer', () => {
  it('acknowledges up to the end of its own last record, not to the end of the ring', () => {
    const ring = createUserRing({ maxEntries: 4096 });
    const producer = new Producer(ring);
    const state = new ProducerState('p', 'anonymous');
    producer.outputRun(buildRun([new Uint8Array(8)]));
    state.stored(1, 16, ring);
    // A part of OUTPUT 1: not acknowledged yet.
    expect(state.ackedPos).toBe(0n);
    state.partial = 1;
    // Somebody else's record comes next, then the resend turns out to be complete.
    producer.outputRun(buildRun([new Uint8Array(100)]));
    state.stored(0, 0, ring);
    state.accept(1);
    expect([state.ackedPos, state.lastSeq, state.partial]).toEqual([16n, 1, 0]);
  });
});

describe('the producer states of a map', () => {
  const TTL = 1000;
  const fixture = (max = 2): { clock: ManualClock; states: ProducerStates } => {
    const clock = new ManualClock();
    return { clock, states: new ProducerStates(clock, max, TTL) };
  };
  const connection = { replace: () => undefined };
  const refusal = (call: () => unknown): string => {
    try {
      call();
    } catch (error) {
      if (error instanceof RingbufdError) return error.key;
      throw error;
    }
    return 'none';
  };

  it('are there again for the same id, and say so', () => {
    const { states } = fixture();
    const { state, resumed } = states.claim('p', 'token');
    expect(resumed).toBe(false);
    state.lastSeq = 5;
    expect(states.claim('p', 'token')).toEqual({ state, resumed: true });
    expect(states.size).toBe(1);
  });

  it('belong to the token that first used the id', () => {
    const { states } = fixture();
    states.claim('p', 'one');
    expect(refusal(() => states.claim('p', 'two'))).toBe('FORBIDDEN');
    expect(refusal(() => states.claim('p', 'one'))).toBe('none');
  });

  it('are refused over the limit as long as none is old enough to be forgotten', () => {
    const { clock, states } = fixture();
    states.release(states.claim('a', 't').state);
    clock.advance(1);
    states.release(states.claim('b', 't').state);
    expect(refusal(() => states.claim('c', 't'))).toBe('LIMIT_PRODUCERS');
    clock.advance(TTL - 1);
    // Only `a` has reached its age; it makes room for exactly one.
    expect(states.claim('c', 't').resumed).toBe(false);
    expect([states.get('a'), states.get('b')?.id, states.size]).toEqual([undefined, 'b', 2]);
  });

  it('forget the one used least recently, not the one created first', () => {
    const { clock, states } = fixture();
    states.release(states.claim('a', 't').state);
    states.release(states.claim('b', 't').state);
    states.release(states.claim('a', 't').state);
    clock.advance(TTL);
    states.claim('c', 't');
    expect([states.get('a')?.id, states.get('b')]).toEqual(['a', undefined]);
  });

  it('never forget one that is connected, however old', () => {
    const { clock, states } = fixture(1);
    states.claim('a', 't').state.connection = connection;
    clock.advance(100 * TTL);
    expect(refusal(() => states.claim('b', 't'))).toBe('LIMIT_PRODUCERS');
    states.release(states.get('a')!);
    expect(refusal(() => states.claim('b', 't'))).toBe('LIMIT_PRODUCERS');
    clock.advance(TTL);
    expect(states.claim('b', 't').resumed).toBe(false);
    expect(states.get('a')).toBeUndefined();
  });

  it('outlive their age while there is room', () => {
    const { clock, states } = fixture();
    const { state } = states.claim('a', 't');
    states.release(state);
    clock.advance(100 * TTL);
    expect(states.claim('b', 't').resumed).toBe(false);
    expect(states.claim('a', 't')).toEqual({ state, resumed: true });
  });
});
