import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildRun,
  decodeClientFrame,
  decodeHandlerClientFrame,
  decodeHandlerServerFrame,
  decodeServerFrame,
  deliverBodySize,
  deliveredSamples,
  encodeHandlerClientFrame,
  encodeHandlerServerFrame,
  HandlerOp,
  isFrameError,
  startDeliver,
  type DeliverFrame,
  type FrameError,
  type HandlerClientFrame,
  type HandlerServerFrame,
} from '../../src/wire/index.js';
import { nearly } from './arbitraries.js';
import { handlerClientFrames, handlerServerFrames } from './handler-arbitraries.js';

/** Bytes as they arrive: a view into a larger buffer, at any alignment. */
function arrived(bytes: Uint8Array, alignment: number): Uint8Array {
  const chunk = new Uint8Array(alignment + bytes.length + 16).fill(0xcc);
  chunk.set(bytes, alignment);
  return chunk.subarray(alignment, alignment + bytes.length);
}

function expectViewsInside(frame: object, input: Uint8Array): void {
  for (const value of Object.values(frame) as unknown[]) {
    if (!(value instanceof Uint8Array)) continue;
    expect(value.buffer === input.buffer).toBe(true);
    expect(value.byteOffset).toBeGreaterThanOrEqual(input.byteOffset + 32);
    expect(value.byteOffset + value.length).toBeLessThanOrEqual(input.byteOffset + input.length);
  }
}

function expectFrameOrError(
  result: HandlerClientFrame | HandlerServerFrame | FrameError,
  input: Uint8Array,
): void {
  expect(result.op).toBe(input[0] ?? 0);
  if (isFrameError(result)) {
    expect(result.message).not.toBe('');
    expect(result.errno).toBe('EPROTO');
  } else {
    expectViewsInside(result, input);
  }
}

const alignment = fc.nat(7);
const samplesOf = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });

describe('what an attached client encodes', () => {
  it('is decoded to the same frame, at any alignment', () => {
    fc.assert(
      fc.property(handlerClientFrames, alignment, (frame, at) => {
        expect(decodeHandlerClientFrame(arrived(encodeHandlerClientFrame(frame), at))).toEqual(frame);
      }),
      { numRuns: 400 },
    );
  });

  it('is refused when it is cut short, has a body byte too many, or bits that nobody knows', () => {
    fc.assert(
      fc.property(handlerClientFrames, fc.nat(15), fc.integer({ min: 4, max: 255 }), (frame, cut, flags) => {
        const whole = encodeHandlerClientFrame(frame);
        expect(decodeHandlerClientFrame(whole.subarray(0, cut))).toMatchObject({
          error: 'FRAME_TRUNCATED',
        });
        if (!('message' in frame))
          expect(decodeHandlerClientFrame(Uint8Array.of(...whole, 0))).toMatchObject({
            error: 'FRAME_BODY_SIZE',
          });
        const reserved = Uint8Array.from(whole);
        reserved[2] = 1;
        expect(decodeHandlerClientFrame(reserved)).toMatchObject({ error: 'FRAME_RESERVED_NOT_ZERO' });
        whole[1] = flags;
        expect(decodeHandlerClientFrame(whole)).toMatchObject({ error: 'FRAME_UNKNOWN_FLAGS' });
      }),
    );
  });
});

describe('what the daemon encodes for an attached client', () => {
  it('is decoded to the same frame, at any alignment, without a copy', () => {
    fc.assert(
      fc.property(handlerServerFrames, alignment, (frame, at) => {
        const input = arrived(encodeHandlerServerFrame(frame), at);
        const decoded = decodeHandlerServerFrame(input);
        expect(decoded).toEqual(frame);
        expectViewsInside(decoded, input);
      }),
      { numRuns: 400 },
    );
  });

  it('is still read when a newer daemon adds flag bits, and bytes behind a fixed body', () => {
    fc.assert(
      fc.property(handlerServerFrames, fc.uint8Array({ maxLength: 8 }), (frame, added) => {
        const open = 'body' in frame || 'run' in frame;
        const bytes = Uint8Array.of(...encodeHandlerServerFrame(frame), ...(open ? [] : added));
        bytes[1] = bytes[1]! | 0xf8;
        expect(decodeHandlerServerFrame(bytes)).toEqual(frame);
      }),
    );
  });

  it('counts in a DELIVER body what credit counts: all of it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), samplesOf, (ctx, samples) => {
        const run = buildRun(samples);
        const frame = { op: HandlerOp.DELIVER, seq: 1n, samples: samples.length, position: 0n, ctx, run };
        expect(encodeHandlerServerFrame(frame).length).toBe(16 + deliverBodySize(ctx.length, run.length));
      }),
    );
  });
});

describe('the samples of a delivery', () => {
  it('are those that were put in, as views into the message', () => {
    fc.assert(
      fc.property(samplesOf, fc.uint8Array({ maxLength: 20 }), alignment, (samples, ctx, at) => {
        const run = buildRun(samples);
        const head = { seq: 7n, samples: samples.length, position: 4096n, ctx };
        const { bytes, runAt } = startDeliver(head, run.length);
        bytes.set(run, runAt);
        const input = arrived(bytes, at);
        const frame = decodeHandlerServerFrame(input) as DeliverFrame;
        const views = deliveredSamples(frame)!;
        expect(views).toEqual(samples);
        for (const view of views) expect(view.buffer).toBe(input.buffer);
      }),
    );
  });

  it('are none when the run has more or fewer of them, or is cut off', () => {
    const run = buildRun([Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(4)]);
    const frame: DeliverFrame = {
      op: HandlerOp.DELIVER,
      seq: 1n,
      samples: 3,
      position: 0n,
      ctx: new Uint8Array(0),
      run,
    };
    expect(deliveredSamples(frame)).toHaveLength(3);
    expect(deliveredSamples({ ...frame, samples: 2 })).toBeUndefined();
    expect(deliveredSamples({ ...frame, samples: 4 })).toBeUndefined();
    for (let cut = 0; cut < run.length; cut++)
      expect(deliveredSamples({ ...frame, run: run.subarray(0, cut) })).toBeUndefined();
    const forged = Uint8Array.from(run);
    forged.fill(0xff, 0, 4);
    expect(deliveredSamples({ ...frame, run: forged })).toBeUndefined();
  });
});

describe('any bytes at all', () => {
  const header = (low: number, high: number) =>
    fc
      .tuple(
        fc.integer({ min: low, max: high }),
        fc.nat(3),
        fc.uint8Array({ maxLength: 60, minLength: 14, size: 'max' }),
      )
      .map(([op, flags, rest]) => Uint8Array.of(op, flags, 0, 0, ...rest));

  it.each([
    ['random', fc.uint8Array({ maxLength: 80, size: 'max' })],
    ['random behind a plausible header', header(0x0f, 0x12)],
    ['mutated frames of a client', nearly(handlerClientFrames.map(encodeHandlerClientFrame))],
    ['frames of the daemon', handlerServerFrames.map(encodeHandlerServerFrame)],
  ])('(%s) are a frame of an attached client or a named error', (_kind, inputs) => {
    fc.assert(
      fc.property(inputs, alignment, (bytes, at) => {
        const input = arrived(bytes, at);
        expectFrameOrError(decodeHandlerClientFrame(input), input);
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ['random', fc.uint8Array({ maxLength: 80, size: 'max' })],
    ['random behind a plausible header', header(0x8f, 0x94)],
    ['mutated frames of the daemon', nearly(handlerServerFrames.map(encodeHandlerServerFrame))],
  ])('(%s) are a frame of the daemon or a named error, and so are its samples', (_kind, inputs) => {
    fc.assert(
      fc.property(inputs, alignment, (bytes, at) => {
        const input = arrived(bytes, at);
        const result = decodeHandlerServerFrame(input);
        expectFrameOrError(result, input);
        if (result.op === HandlerOp.DELIVER && !isFrameError(result))
          for (const sample of deliveredSamples(result) ?? []) expectViewsInside({ sample }, input);
      }),
      { numRuns: 400 },
    );
  });

  it('are never taken for a frame of the producers, nor theirs for one of ours', () => {
    fc.assert(
      fc.property(handlerClientFrames, handlerServerFrames, (client, server) => {
        expect(decodeClientFrame(encodeHandlerClientFrame(client))).toMatchObject({
          error: 'FRAME_UNKNOWN_OP',
        });
        expect(decodeServerFrame(encodeHandlerServerFrame(server))).toMatchObject({
          error: 'FRAME_UNKNOWN_OP',
        });
      }),
    );
  });
});
