import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  encodeServerFrame,
  isFrameError,
  isPlainOutput,
  Op,
  type ClientFrame,
  type FrameError,
  type ServerFrame,
} from '../../src/wire/index.js';
import { clientFrames, nearly, serverFrames } from './arbitraries.js';

const ERROR_CODES = [
  'FRAME_TRUNCATED',
  'FRAME_UNKNOWN_OP',
  'FRAME_UNKNOWN_FLAGS',
  'FRAME_RESERVED_NOT_ZERO',
  'FRAME_BODY_SIZE',
  'FRAME_SEQ_RANGE',
  'FRAME_BAD_JSON',
  'FRAME_BAD_FIELD',
];

/** Bytes as they arrive: a view into a larger buffer, at any alignment. */
function arrived(bytes: Uint8Array, alignment: number): Uint8Array {
  const chunk = new Uint8Array(alignment + bytes.length + 16).fill(0xcc);
  chunk.set(bytes, alignment);
  return chunk.subarray(alignment, alignment + bytes.length);
}

/** Every byte view in a frame lies inside the input: nothing was copied, nothing beyond it can be reached. */
function expectViewsInside(frame: ClientFrame | ServerFrame, input: Uint8Array): void {
  for (const value of Object.values(frame) as unknown[]) {
    if (!(value instanceof Uint8Array)) continue;
    expect(value.buffer === input.buffer).toBe(true);
    expect(value.byteOffset).toBeGreaterThanOrEqual(input.byteOffset + 16);
    expect(value.byteOffset + value.length).toBe(input.byteOffset + input.length);
  }
}

function expectFrameOrError(result: ClientFrame | ServerFrame | FrameError, input: Uint8Array): void {
  if (isFrameError(result)) {
    expect(ERROR_CODES).toContain(result.error);
    expect(result.message).not.toBe('');
    expect(result.op).toBe(input[0] ?? 0);
    expect(result.errno).toBe('EPROTO');
    return;
  }
  expect(result.op).toBe(input[0]);
  expectViewsInside(result, input);
}

const alignment = fc.nat(7);

describe('a plain OUTPUT', () => {
  it('is known without decoding it, whole or mutated, by its own number and by no other', () => {
    const outputs = fc.record({
      op: fc.constant(Op.OUTPUT),
      seq: fc.oneof(
        fc.integer({ min: 1, max: 2 ** 33 }),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      ),
      atomic: fc.boolean(),
      resend: fc.boolean(),
      run: fc.uint8Array({ maxLength: 16 }),
    });
    const change = fc.option(fc.tuple(fc.nat(15), fc.nat(255)), { nil: undefined });
    let known = 0;
    fc.assert(
      fc.property(outputs, change, fc.nat(16), (frame, changed, cut) => {
        const whole = encodeClientFrame(frame);
        if (changed !== undefined) whole[changed[0]] = changed[1];
        const bytes = whole.subarray(0, cut < 16 ? whole.length : cut);
        const decoded = decodeClientFrame(bytes);
        const isPlain =
          !isFrameError(decoded) && decoded.op === Op.OUTPUT && !decoded.atomic && !decoded.resend;
        if (isPlain) known++;
        for (const seq of [frame.seq, frame.seq + 1, frame.seq - 1, isPlain ? decoded.seq : 1])
          expect(isPlainOutput(bytes, seq)).toBe(isPlain && decoded.seq === seq);
      }),
      { numRuns: 2000 },
    );
    expect(known).toBeGreaterThan(100);
  });
});

describe('what a producer encodes', () => {
  it('is decoded to the same frame, at any alignment', () => {
    fc.assert(
      fc.property(clientFrames, alignment, (frame, at) => {
        const input = arrived(encodeClientFrame(frame), at);
        const decoded = decodeClientFrame(input);
        expect(decoded).toEqual(frame);
        expectViewsInside(decoded as ClientFrame, input);
      }),
      { numRuns: 400 },
    );
  });

  it('is refused when it is cut short or has a body byte too many, unless its end is bytes', () => {
    fc.assert(
      fc.property(clientFrames, fc.nat(200), (frame, cut) => {
        const whole = encodeClientFrame(frame);
        const openEnd = 'run' in frame || 'payload' in frame || 'bytes' in frame;
        const least = 'run' in frame ? 16 : openEnd ? 24 : whole.length;
        const shorter = whole.subarray(0, cut % whole.length);
        const result = decodeClientFrame(shorter);
        const code = isFrameError(result) ? result.error : 'none';
        expect(code).toBe(
          shorter.length < 16 ? 'FRAME_TRUNCATED' : shorter.length < least ? 'FRAME_BODY_SIZE' : 'none',
        );
        const longer = decodeClientFrame(Uint8Array.of(...whole, 0));
        expect(isFrameError(longer) ? longer.error : 'none').toBe(openEnd ? 'none' : 'FRAME_BODY_SIZE');
      }),
      { numRuns: 300 },
    );
  });
});

describe('what the daemon encodes', () => {
  it('is decoded to the same frame, at any alignment', () => {
    fc.assert(
      fc.property(serverFrames, alignment, (frame, at) => {
        expect(decodeServerFrame(arrived(encodeServerFrame(frame), at))).toEqual(frame);
      }),
      { numRuns: 400 },
    );
  });

  it('is still read when a newer daemon adds flag bits and body bytes', () => {
    fc.assert(
      fc.property(serverFrames, fc.uint8Array({ maxLength: 8 }), (frame, added) => {
        // The ends of WELCOME and ERROR are text: there is nothing behind them.
        fc.pre(!('body' in frame) && !('message' in frame));
        const bytes = Uint8Array.of(...encodeServerFrame(frame), ...added);
        bytes[1] = bytes[1]! | 0xf8;
        expect(decodeServerFrame(bytes)).toEqual(frame);
      }),
    );
  });

  it('is an error when it is cut short, never a half-read frame', () => {
    fc.assert(
      fc.property(serverFrames, fc.nat(200), (frame, cut) => {
        // The message of ERROR may be of any length, its cut is a shorter message.
        const encoded = encodeServerFrame(frame);
        const fixed = 'message' in frame ? encoded.subarray(0, 40) : encoded;
        const result = decodeServerFrame(fixed.subarray(0, cut % fixed.length));
        expect(isFrameError(result)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('any bytes at all', () => {
  const encodedClient = clientFrames.map(encodeClientFrame);
  const encodedServer = serverFrames.map(encodeServerFrame);

  it.each([
    ['random', fc.uint8Array({ maxLength: 80, size: 'max' })],
    [
      'random behind a plausible header',
      fc
        .tuple(fc.nat(10), fc.nat(3), fc.uint8Array({ maxLength: 60, size: 'max' }))
        .map(([op, flags, rest]) => Uint8Array.of(op, flags, 0, 0, 0, 0, 0, 0, ...rest)),
    ],
    ['mutated frames of a producer', nearly(encodedClient)],
    ['frames of the daemon', encodedServer],
  ])('(%s) are a frame of a producer or a named error', (_kind, inputs) => {
    fc.assert(
      fc.property(inputs, alignment, (bytes, at) => {
        const input = arrived(bytes, at);
        expectFrameOrError(decodeClientFrame(input), input);
      }),
      { numRuns: 400 },
    );
  });

  it.each([
    ['random', fc.uint8Array({ maxLength: 80, size: 'max' })],
    [
      'random behind a plausible header',
      fc
        .tuple(
          fc.integer({ min: 0x7f, max: 0x88 }),
          fc.uint8Array({ minLength: 15, maxLength: 70, size: 'max' }),
        )
        .map(([op, rest]) => Uint8Array.of(op, ...rest)),
    ],
    ['mutated frames of the daemon', nearly(encodedServer)],
    ['frames of a producer', encodedClient],
  ])('(%s) are a frame of the daemon or a named error', (_kind, inputs) => {
    fc.assert(
      fc.property(inputs, alignment, (bytes, at) => {
        const input = arrived(bytes, at);
        expectFrameOrError(decodeServerFrame(input), input);
      }),
      { numRuns: 400 },
    );
  });
});
