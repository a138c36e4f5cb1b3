import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRun } from '../../src/ring/index.js';
import { buildOutputFrame, buildRun, decodeClientFrame, runSize } from '../../src/wire/index.js';
import { runOf } from '../ring/raw.js';
import { seq } from './arbitraries.js';

const samples = fc.array(fc.uint8Array({ maxLength: 60, size: 'max' }), { maxLength: 12 });

describe('a run that was built', () => {
  it('has the bytes of the ring format, and passes the check', () => {
    fc.assert(
      fc.property(samples, (list) => {
        const run = buildRun(list);
        expect(run).toEqual(runOf(list));
        expect(runSize(list)).toBe(run.length);
        expect(checkRun(new DataView(run.buffer), 4096)).toBe(list.length);
      }),
    );
  });

  it('leaves the headroom that was asked for, zeroed', () => {
    expect(buildRun([Uint8Array.of(0xff)], 3)).toEqual(
      Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0),
    );
  });

  it('is the body of the OUTPUT frame that was built', () => {
    fc.assert(
      fc.property(samples, seq, fc.boolean(), fc.boolean(), (list, number, atomic, resend) => {
        const frame = buildOutputFrame(number, list, { atomic, resend });
        expect(decodeClientFrame(frame)).toEqual({ op: 1, seq: number, atomic, resend, run: runOf(list) });
      }),
    );
  });
});
