import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShownRecords } from '../../../src/server/journal/shown-records.js';

/** The two sides of one piece of memory. */
function sides(): { loop: ShownRecords; thread: ShownRecords } {
  const loop = new ShownRecords();
  return { loop, thread: new ShownRecords(loop.buffer) };
}

describe('shown records', () => {
  it('have to be told of once, and then only when the thread has stopped looking', () => {
    const { loop, thread } = sides();
    expect(loop.show(8n, 16n)).toBe(true);
    expect(loop.show(8n, 24n)).toBe(false);
    expect(thread.endBehind(8n, 16n)).toBe(24n);
    expect(thread.endBehind(8n, 24n)).toBeUndefined();
    expect(thread.sleep(8n, 24n)).toBe(true);
    expect(loop.show(8n, 32n)).toBe(true);
  });

  it('keep the thread awake when something came before it slept', () => {
    const { loop, thread } = sides();
    loop.show(0n, 8n);
    loop.show(0n, 16n);
    expect(thread.sleep(0n, 8n)).toBe(false);
    expect(loop.show(0n, 24n)).toBe(false);
    expect(thread.endBehind(0n, 8n)).toBe(24n);
  });

  it('behind a commit that was asked for are not for those that write before it', () => {
    const { loop, thread } = sides();
    loop.show(0n, 8n);
    loop.show(8n, 16n);
    expect(thread.endBehind(0n, 8n)).toBeUndefined();
    expect(thread.endBehind(8n, 8n)).toBe(16n);
  });

  it('are told apart when positions have gone round 2^32 and past 2^63', () => {
    const { loop, thread } = sides();
    for (const start of [8n, 2n ** 32n + 8n, 2n ** 63n + 8n, 2n ** 64n - 16n]) {
      loop.show(start, start + 8n);
      expect(thread.endBehind(start, start)).toBe(start + 8n);
      expect(thread.endBehind(BigInt.asUintN(64, start + 2n ** 32n), start)).toBeUndefined();
    }
  });

  /** What thread-entry.ts does, one call at a time: so that what the loop does can come in between. */
  function* lookAhead(thread: ShownRecords, start: bigint, end: bigint): Generator<void, bigint> {
    for (;;) {
      const more = thread.endBehind(start, end);
      yield;
      if (more !== undefined) end = more;
      else if (thread.sleep(start, end)) return end;
      yield;
    }
  }

  it('are all seen, or a message is on its way, whatever comes in between what', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 60 }), (turns) => {
        const { loop, thread } = sides();
        let [end, seen, messages] = [0n, 0n, 0];
        let looking: Generator<void, bigint> | undefined;
        const step = (): void => {
          if (looking === undefined) {
            if (messages === 0) return;
            messages--;
            looking = lookAhead(thread, 0n, seen);
          }
          const { done, value } = looking.next();
          if (done !== true) return;
          seen = value;
          looking = undefined;
        };
        for (const isLoop of turns) {
          if (!isLoop) step();
          else if (loop.show(0n, (end += 8n))) messages++;
          expect(messages).toBeLessThanOrEqual(1);
        }
        while (looking !== undefined || messages > 0) step();
        expect(seen).toBe(end);
      }),
      { numRuns: 2000 },
    );
  });
});
