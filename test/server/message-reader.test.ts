/** What is read without ws is read as ws would: the same messages in the same order, and the same ends. */
import fc from 'fast-check';
import type { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import * as ws from 'ws';
import {
  MAX_LENT_BYTES,
  MessageReader,
  MIN_PIECES,
  type MessageLimits,
} from '../../src/server/message-reader.js';

/** ws exports it, and its types do not say so. */
type Receiver = EventEmitter & { write: (bytes: Buffer) => boolean };
const { Receiver } = ws as unknown as { Receiver: new (options: Record<string, unknown>) => Receiver };

const LIMITS: MessageLimits = { maxMessageBytes: 2000, maxPieces: MIN_PIECES };
const MAX_FRAGMENTS = 4;

/** What came of a stream of bytes: messages, pings and pongs as text, and how it ended. */
type Event = [what: string, bytes?: string];

interface Side {
  events: Event[];
  read: (chunk: Buffer) => void;
}

/** ws alone. It is given nothing any more once it has ended, as its own socket listener does. */
function wsAlone(limits: MessageLimits, events: Event[] = []): Side & { ended: () => boolean } {
  const receiver = new Receiver({
    isServer: true,
    maxPayload: limits.maxMessageBytes,
    maxBufferedChunks: limits.maxPieces,
    maxFragments: MAX_FRAGMENTS,
  });
  let ended = false;
  receiver.on('message', (data: Buffer, isBinary: boolean) =>
    events.push([isBinary ? 'binary' : 'text', data.toString('hex')]),
  );
  receiver.on('ping', (data: Buffer) => events.push(['ping', data.toString('hex')]));
  receiver.on('pong', (data: Buffer) => events.push(['pong', data.toString('hex')]));
  receiver.on('conclude', (code: number, reason: Buffer) => {
    ended = true;
    events.push([`close ${code}`, reason.toString('hex')]);
  });
  receiver.on('error', (error: Error & { code: string }) => {
    ended = true;
    events.push([error.code]);
  });
  const read = (chunk: Buffer): void => {
    if (!ended) receiver.write(chunk);
  };
  return { events, read, ended: () => ended };
}

/** The reader in front of ws. */
function withReader(limits: MessageLimits = LIMITS): Side & { toWs: Buffer[] } {
  const behind = wsAlone(limits);
  const toWs: Buffer[] = [];
  const reader = new MessageReader(
    {
      message: (data) => {
        behind.events.push(['binary', Buffer.from(data).toString('hex')]);
      },
      other: (bytes) => {
        toWs.push(Buffer.from(bytes));
        behind.read(bytes);
      },
    },
    limits,
  );
  return { events: behind.events, toWs, read: (chunk) => reader.read(chunk) };
}

/** Errors of ws are told in a later turn of the event loop. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

interface FrameShape {
  first: number;
  payload: Uint8Array;
  mask: Uint8Array | undefined;
  /** Bits of the length to use beyond what it takes: ws does not ask for the shortest form. */
  longForm?: boolean;
}

function frameOf({ first, payload, mask, longForm = false }: FrameShape): Buffer {
  const { length } = payload;
  const size = length > 0xffff || longForm ? 8 : length > 125 ? 2 : 0;
  const head = Buffer.alloc(2 + size + (mask === undefined ? 0 : 4));
  head[0] = first;
  head[1] = (mask === undefined ? 0 : 0x80) | (size === 8 ? 127 : size === 2 ? 126 : length);
  if (size === 2) head.writeUInt16BE(length, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (mask === undefined) return Buffer.concat([head, payload]);
  head.set(mask, 2 + size);
  return Buffer.concat([head, payload.map((byte, index) => byte ^ mask[index & 3]!)]);
}

const MASK = Buffer.from([0x81, 0, 0xff, 7]);
const binary = (payload: Uint8Array): Buffer => frameOf({ first: 0x82, payload, mask: MASK });
const text = (payload: string, first = 0x81): Buffer =>
  frameOf({ first, payload: Buffer.from(payload), mask: MASK });

const mask = fc.uint8Array({ minLength: 4, maxLength: 4 });
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ minLength: 120, maxLength: 300 }),
  fc.uint8Array({ minLength: 1990, maxLength: 2010 }),
);
const ascii = fc.string({ maxLength: 130 }).map((string) => Buffer.from(string));
/** Mostly what clients send, and now and then what they must not. */
const frame = fc.oneof(
  { weight: 12, arbitrary: fc.record({ first: fc.constant(0x82), payload, mask, longForm: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ first: fc.constant(0x81), payload: ascii, mask }) },
  // Fragments: some make a message, others are out of place.
  {
    weight: 3,
    arbitrary: fc.record({ first: fc.constantFrom(0x01, 0x02, 0x00, 0x80), payload: ascii, mask }),
  },
  { weight: 2, arbitrary: fc.record({ first: fc.constantFrom(0x89, 0x8a), payload: ascii, mask }) },
  {
    weight: 1,
    arbitrary: fc.record({
      first: fc.constantFrom(0x88, 0x89),
      payload: ascii,
      mask,
      longForm: fc.constant(true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ first: fc.constant(0x88), payload: fc.constant(Buffer.from([3, 232])), mask }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ first: fc.nat(255), payload, mask: fc.option(mask, { nil: undefined }) }),
  },
);

describe('the message reader in front of ws', () => {
  it('makes of every stream what ws makes of it, wherever the pieces end', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 40 }),
        // Where the stream ends, from its end: in the middle of a frame, now and then.
        fc.option(fc.nat(40), { nil: 0 }),
        async (frames, pieces, cut) => {
          const whole = Buffer.concat(frames.map(frameOf));
          const stream = whole.subarray(0, whole.length - cut);
          const alone = wsAlone({ ...LIMITS });
          const both = withReader();
          for (let at = 0, turn = 0; at < stream.length; turn++) {
            const size = pieces[turn % pieces.length]!;
            // Both take the mask off in place.
            alone.read(Buffer.from(stream.subarray(at, at + size)));
            both.read(Buffer.from(stream.subarray(at, at + size)));
            at += size;
          }
          await settled();
          expect(both.events).toEqual(alone.events);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('reads whole binary messages of all lengths by itself, each byte of them alone', () => {
    const { events, toWs, read } = withReader({ ...LIMITS, maxPieces: 70_000 });
    for (const length of [0, 1, 7, 125, 126, 127, 192, 193, 511, 512, 1000, 2000]) {
      const message = Buffer.from(Array.from({ length }, (_, index) => (index * 7) & 255));
      const bytes = binary(message);
      for (let at = 0; at < bytes.length; at++) read(Buffer.from(bytes.subarray(at, at + 1)));
      expect(events.pop()).toEqual(['binary', message.toString('hex')]);
    }
    expect(toWs).toEqual([]);
  });

  it('lends its bytes: the next message is where the last one was', () => {
    const lent: Uint8Array[] = [];
    const reader = new MessageReader({ message: (data) => lent.push(data), other: () => undefined }, LIMITS);
    reader.read(Buffer.concat([binary(Buffer.from('first')), binary(Buffer.from('other'))]));
    expect(lent.map((data) => Buffer.from(data).toString())).toEqual(['other', 'other']);
  });

  it('keeps the messages of several connections apart, whose pieces come in turns', () => {
    const sides = [withReader(), withReader()];
    const streams = ['a', 'b'].map((letter) => binary(Buffer.alloc(600, letter)));
    for (let at = 0; at < streams[0]!.length; at += 100)
      for (const [index, side] of sides.entries())
        side.read(Buffer.from(streams[index]!.subarray(at, at + 100)));
    expect(sides.map((side) => side.events)).toEqual([
      [['binary', '61'.repeat(600)]],
      [['binary', '62'.repeat(600)]],
    ]);
  });

  it('leaves a message to ws that is too long to be lent out, and what follows', () => {
    const limits = { maxMessageBytes: 4 * MAX_LENT_BYTES, maxPieces: MIN_PIECES };
    const { events, toWs, read } = withReader(limits);
    const long = Buffer.alloc(MAX_LENT_BYTES + 1, 'x');
    read(binary(long.subarray(1)));
    expect(toWs).toEqual([]);
    read(binary(long));
    read(binary(Buffer.from('short')));
    expect(events).toEqual(
      [long.subarray(1), long, Buffer.from('short')].map((data) => ['binary', data.toString('hex')]),
    );
    expect(Buffer.concat(toWs).length).toBe(binary(long).length + binary(Buffer.from('short')).length);
  });

  it('lets ws refuse a message over the limit, and one in too many pieces', async () => {
    const long = withReader();
    long.read(binary(Buffer.alloc(LIMITS.maxMessageBytes + 1)));
    const [enough, tooMany] = [withReader(), withReader()];
    // Behind the head, which is 6 bytes: as many pieces as are kept, and one more.
    for (const [side, count] of [
      [enough, LIMITS.maxPieces],
      [tooMany, LIMITS.maxPieces + 1],
    ] as const) {
      const bytes = binary(Buffer.alloc(count));
      side.read(Buffer.from(bytes.subarray(0, 6)));
      for (let at = 6; at < bytes.length; at++) side.read(Buffer.from(bytes.subarray(at, at + 1)));
    }
    await settled();
    expect([long.events, enough.events, tooMany.events]).toEqual([
      [['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH']],
      [['binary', '00'.repeat(LIMITS.maxPieces)]],
      [['WS_ERR_TOO_MANY_BUFFERED_PARTS']],
    ]);
  });

  it('has room for a ping in the smallest pieces, which ws would refuse otherwise', () => {
    const { events, read } = withReader();
    const ping = frameOf({ first: 0x89, payload: Buffer.alloc(125), mask: MASK });
    for (let at = 0; at < ping.length; at++) read(Buffer.from(ping.subarray(at, at + 1)));
    read(binary(Buffer.from('next')));
    expect(events.map(([what]) => what)).toEqual(['ping', 'binary']);
    expect(() => withReader({ ...LIMITS, maxPieces: MIN_PIECES - 1 })).toThrow(RangeError);
  });

  it('gives ws a frame that it refuses as soon as ws would refuse it', async () => {
    const sides = [
      [0x83, 0x85],
      [0x82, 0x05],
      [0x82, 0xfe, 0xff, 0xff],
    ].map((bytes) => {
      const side = withReader();
      side.read(Buffer.from(bytes));
      return side;
    });
    await settled();
    expect(sides.map(({ events }) => events)).toEqual([
      [['WS_ERR_INVALID_OPCODE']],
      [['WS_ERR_EXPECTED_MASK']],
      [['WS_ERR_UNSUPPORTED_MESSAGE_LENGTH']],
    ]);
  });

  it('reads nothing behind a Close or a violation', async () => {
    const more = binary(Buffer.from('too late'));
    const closed = withReader();
    closed.read(
      Buffer.concat([
        binary(Buffer.from('in time')),
        frameOf({ first: 0x88, payload: MASK.subarray(0, 0), mask: MASK }),
        more,
      ]),
    );
    closed.read(Buffer.from(more));
    const broken = withReader();
    broken.read(
      Buffer.concat([frameOf({ first: 0x82, payload: Buffer.from('bare'), mask: undefined }), more]),
    );
    broken.read(Buffer.from(more));
    await settled();
    expect([closed.events, broken.events]).toEqual([
      [
        ['binary', Buffer.from('in time').toString('hex')],
        ['close 1005', ''],
      ],
      [['WS_ERR_EXPECTED_MASK']],
    ]);
  });

  it('keeps its messages in order with those of ws, of fragments and pings among them', () => {
    const { events, read } = withReader();
    read(
      Buffer.concat([
        binary(Buffer.from('1')),
        text('2', 0x01),
        frameOf({ first: 0x89, payload: Buffer.from('3'), mask: MASK }),
        text('4', 0x80),
        binary(Buffer.from('5')),
      ]),
    );
    expect(events.map(([what]) => what)).toEqual(['binary', 'ping', 'text', 'binary']);
  });
});
