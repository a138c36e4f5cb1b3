import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HeldMessages } from '../../src/server/held-messages.js';

describe('held messages', () => {
  it('come back as they went in, whatever was taken between', () => {
    const step = fc.option(fc.tuple(fc.uint8Array({ maxLength: 50 }), fc.boolean()), { nil: undefined });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const held = new HeldMessages();
        const model: { data: Uint8Array; isBinary: boolean }[] = [];
        for (const message of steps) {
          if (message === undefined) {
            const taken = held.take();
            expect(taken && { ...taken, data: new Uint8Array(taken.data) }).toEqual(model.shift());
          } else {
            const [data, isBinary] = message;
            held.add(data, isBinary);
            model.push({ data, isBinary });
          }
          expect(held.count).toBe(model.length);
        }
      }),
    );
  });

  it('are copies, and stay what they are while others come', () => {
    const held = new HeldMessages();
    const lent = Buffer.from('a');
    held.add(lent, true);
    lent.fill('z');
    held.add(Buffer.from('b'), true);
    const { data } = held.take()!;
    for (let count = 0; count < 100; count++) held.add(Buffer.from('c'), false);
    expect(Buffer.from(data).toString()).toBe('a');
  });

  it('take not much more memory than they are long, be they ever so short', () => {
    const held = new HeldMessages();
    const short = Buffer.of(1);
    const before = process.memoryUsage();
    for (let count = 0; count < 1e6; count++) held.add(short, true);
    const after = process.memoryUsage();
    expect(held.count).toBe(1e6);
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(60e6);
    held.clear();
    expect(held.take()).toBeUndefined();
  });
});
