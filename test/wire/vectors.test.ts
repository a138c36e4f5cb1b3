/**
 * Every frame of the protocol table, as bytes written by hand: `op flags 0000 arg seq | body`, little-endian. A codec whose
 * two sides are wrong in the same way passes its property tests and fails here.
 */
import { describe, expect, it } from 'vitest';
import {
  BEARER_SUBPROTOCOL_PREFIX,
  PROTOCOL_VERSION,
  Subprotocol,
  buildOutputFrame,
  decodeClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  encodeServerFrame,
  opName,
  type ClientFrame,
  type ServerFrame,
  type WelcomeBody,
} from '../../src/wire/index.js';

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/[ |]/g, ''), 'hex'));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const packed = (hex: string) => hex.replaceAll(/[ |]/g, '');

const SEQ = 0x1122334455667788n;
const POSITION = 0xf1f2f3f4f5f6f7f8n;

const clientVectors: [name: string, hex: string, frame: ClientFrame][] = [
  [
    'OUTPUT of one sample "hi"',
    '01 00 0000 00000000 0100000000000000 | 02000000 00000000 6869000000000000',
    { op: 1, seq: 1, atomic: false, resend: false, run: bytesOf('0200000000000000 6869000000000000') },
  ],
  [
    'OUTPUT, ATOMIC',
    '01 01 0000 00000000 0200000000000000 |',
    { op: 1, seq: 2, atomic: true, resend: false, run: new Uint8Array(0) },
  ],
  [
    'OUTPUT, RESEND, with the largest seq',
    '01 02 0000 00000000 ffffffffffff1f00 | 0000000000000000',
    { op: 1, seq: 9007199254740991, atomic: false, resend: true, run: new Uint8Array(8) },
  ],
  [
    'OUTPUT, ATOMIC and RESEND, with a seq above 2^32',
    '01 03 0000 00000000 0500000001000000 |',
    { op: 1, seq: 4294967301, atomic: true, resend: true, run: new Uint8Array(0) },
  ],
  ['RESERVE', '02 00 0000 44332211 8877665544332211 |', { op: 2, seq: SEQ, size: 0x11223344 }],
  [
    'RESERVE of the largest arg',
    '02 00 0000 ffffffff 0000000000000000 |',
    { op: 2, seq: 0n, size: 4294967295 },
  ],
  [
    'SUBMIT',
    '03 00 0000 00000000 8877665544332211 | f8f7f6f5f4f3f2f1 aabbcc',
    { op: 3, seq: SEQ, position: POSITION, payload: bytesOf('aabbcc') },
  ],
  [
    'SUBMIT of nothing',
    '03 00 0000 00000000 8877665544332211 | 0800000000000000',
    { op: 3, seq: SEQ, position: 8n, payload: new Uint8Array(0) },
  ],
  [
    'DISCARD',
    '04 00 0000 00000000 8877665544332211 | f8f7f6f5f4f3f2f1',
    { op: 4, seq: SEQ, position: POSITION },
  ],
  ['WATCH on', '05 01 0000 00100000 8877665544332211 |', { op: 5, seq: SEQ, on: true, minFree: 4096 }],
  ['WATCH off', '05 00 0000 00000000 8877665544332211 |', { op: 5, seq: SEQ, on: false, minFree: 0 }],
  ['QUERY', '06 00 0000 00000000 ffffffffffffffff |', { op: 6, seq: 0xffffffffffffffffn }],
  [
    'WRITE',
    '07 00 0000 00000000 8877665544332211 | 0010000000000000 ff00ff',
    { op: 7, seq: SEQ, offset: 4096n, bytes: bytesOf('ff00ff') },
  ],
  [
    'COMMIT',
    '08 00 0000 00000000 8877665544332211 | f8f7f6f5f4f3f2f1',
    { op: 8, seq: SEQ, producerPos: POSITION },
  ],
];

const WELCOME: WelcomeBody = {
  map: 'm',
  incarnation: 'x',
  max_entries: 4096,
  mode: 'managed',
  durability: 'memory',
  producer: null,
  resumed: false,
  partial: 0,
  acked_pos: '0',
  producer_pos: '0',
  consumer_pos: '0',
  limits: { max_frame_bytes: 1048576, max_reservations: 1024, lease_ms: 30000 },
};

const serverVectors: [name: string, hex: string, frame: ServerFrame][] = [
  [
    'WELCOME',
    `80 00 0000 01000000 2a00000000000000 | ${hexOf(
      new TextEncoder().encode(
        '{"map":"m","incarnation":"x","max_entries":4096,"mode":"managed","durability":"memory","producer":null,' +
          '"resumed":false,"partial":0,"acked_pos":"0","producer_pos":"0","consumer_pos":"0",' +
          '"limits":{"max_frame_bytes":1048576,"max_reservations":1024,"lease_ms":30000}}',
      ),
    )}`,
    { op: 0x80, version: 1, seq: 42, body: WELCOME },
  ],
  [
    'ACK',
    '81 00 0000 00000000 0500000001000000 | f8f7f6f5f4f3f2f1 1000000000000000',
    { op: 0x81, seq: 4294967301, durability: 'memory', producerPos: POSITION, consumerPos: 16n },
  ],
  [
    'ACK of a map that syncs',
    '81 02 0000 00000000 0500000000000000 | 1800000000000000 1000000000000000',
    { op: 0x81, seq: 5, durability: 'synced', producerPos: 24n, consumerPos: 16n },
  ],
  [
    'ERROR: OUTPUT 7 refused with ENOSPC after 3 samples',
    '82 01 0000 1c000000 0700000000000000 | 03000000 64000000 2000000000000000 0800000000000000 | 66756c6c',
    {
      op: 0x82,
      request: 1,
      errno: 28,
      seq: 7n,
      accepted: 3,
      retryAfterMs: 100,
      producerPos: 32n,
      consumerPos: 8n,
      message: 'full',
    },
  ],
  [
    'ERROR without a message, for a frame that could not be read',
    '82 00 0000 47000000 0000000000000000 | 00000000 ffffffff 0000000000000000 0000000000000000 |',
    {
      op: 0x82,
      request: 0,
      errno: 71,
      seq: 0n,
      accepted: 0,
      retryAfterMs: 4294967295,
      producerPos: 0n,
      consumerPos: 0n,
      message: '',
    },
  ],
  [
    'RESERVED',
    '83 00 0000 00000000 8877665544332211 | f8f7f6f5f4f3f2f1',
    { op: 0x83, seq: SEQ, position: POSITION },
  ],
  ...(
    [
      ['forced', '01', true, false, false],
      ['writable', '02', false, true, false],
      ['at once', '04', false, false, true],
      ['all of them', '07', true, true, true],
      ['none', '00', false, false, false],
    ] as const
  ).map(([name, flags, forced, writable, atOnce]): [string, string, ServerFrame] => [
    `WAKEUP, ${name}`,
    `84 ${flags} 0000 02000000 0900000000000000 | 4800000000000000 4000000000000000`,
    { op: 0x84, forced, writable, atOnce, drained: 2, seq: 9n, producerPos: 72n, consumerPos: 64n },
  ]),
  [
    'INFO',
    '85 00 0000 00000000 8877665544332211 | 0800000000000000 0010000000000000 4000000000000000 4800000000000000',
    { op: 0x85, seq: SEQ, availData: 8n, ringSize: 4096n, consumerPos: 64n, producerPos: 72n },
  ],
  [
    'DONE',
    '86 00 0000 00000000 8877665544332211 | 4800000000000000 4000000000000000',
    { op: 0x86, seq: SEQ, producerPos: 72n, consumerPos: 64n },
  ],
];

describe('the bytes of a frame', () => {
  it.each(clientVectors)('%s', (_name, hex, frame) => {
    expect(hexOf(encodeClientFrame(frame))).toBe(packed(hex));
    expect(decodeClientFrame(bytesOf(hex))).toEqual(frame);
  });

  it.each(serverVectors)('%s', (_name, hex, frame) => {
    expect(hexOf(encodeServerFrame(frame))).toBe(packed(hex));
    expect(decodeServerFrame(bytesOf(hex))).toEqual(frame);
  });

  it('of OUTPUT can be built in place from samples', () => {
    const frame = buildOutputFrame(1, [bytesOf('6869'), bytesOf('0001')], { atomic: true, resend: true });
    expect(hexOf(frame)).toBe(
      packed(
        '01 03 0000 00000000 0100000000000000 | 02000000 00000000 6869000000000000 | 02000000 00000000 0001000000000000',
      ),
    );
  });

  it('has the names of the table', () => {
    const names = Array.from({ length: 256 }, (_, op) => [op, opName(op)]).filter(
      ([, name]) => name !== undefined,
    );
    expect(names).toEqual([
      [0x01, 'OUTPUT'],
      [0x02, 'RESERVE'],
      [0x03, 'SUBMIT'],
      [0x04, 'DISCARD'],
      [0x05, 'WATCH'],
      [0x06, 'QUERY'],
      [0x07, 'WRITE'],
      [0x08, 'COMMIT'],
      [0x80, 'WELCOME'],
      [0x81, 'ACK'],
      [0x82, 'ERROR'],
      [0x83, 'RESERVED'],
      [0x84, 'WAKEUP'],
      [0x85, 'INFO'],
      [0x86, 'DONE'],
    ]);
  });

  it('travels under these subprotocols, version 1', () => {
    expect(Subprotocol).toEqual({
      BINARY: 'ringbuf.v1',
      JSON: 'ringbuf.v1.json',
      PLAIN: 'ringbuf.v1.plain',
    });
    expect([BEARER_SUBPROTOCOL_PREFIX, PROTOCOL_VERSION]).toEqual(['bearer.', 1]);
  });
});

describe('a frame of a producer is refused', () => {
  it.each([
    ['FRAME_TRUNCATED', 'nothing', '', 0, 0n],
    ['FRAME_TRUNCATED', 'one byte', '01', 1, 0n],
    ['FRAME_TRUNCATED', '15 bytes', '02 00 0000 00000000 01020304050607', 2, 0n],
    ['FRAME_RESERVED_NOT_ZERO', 'byte 2', '06 00 0100 00000000 0900000000000000', 6, 9n],
    ['FRAME_RESERVED_NOT_ZERO', 'byte 3', '06 00 0001 00000000 0900000000000000', 6, 9n],
    ['FRAME_RESERVED_NOT_ZERO', 'arg in OUTPUT', '01 00 0000 01000000 0900000000000000', 1, 9n],
    [
      'FRAME_RESERVED_NOT_ZERO',
      'arg in SUBMIT',
      '03 00 0000 01000000 0900000000000000 0000000000000000',
      3,
      9n,
    ],
    [
      'FRAME_RESERVED_NOT_ZERO',
      'arg in DISCARD',
      '04 00 0000 00000080 0900000000000000 0000000000000000',
      4,
      9n,
    ],
    ['FRAME_RESERVED_NOT_ZERO', 'arg in QUERY', '06 00 0000 00000001 0900000000000000', 6, 9n],
    [
      'FRAME_RESERVED_NOT_ZERO',
      'arg in WRITE',
      '07 00 0000 00010000 0900000000000000 0000000000000000',
      7,
      9n,
    ],
    [
      'FRAME_RESERVED_NOT_ZERO',
      'arg in COMMIT',
      '08 00 0000 01000000 0900000000000000 0000000000000000',
      8,
      9n,
    ],
    ['FRAME_UNKNOWN_OP', 'op 0', '00 00 0000 00000000 0900000000000000', 0, 9n],
    ['FRAME_UNKNOWN_OP', 'op 9', '09 00 0000 00000000 0900000000000000', 9, 9n],
    ['FRAME_UNKNOWN_OP', 'an op of the daemon', '80 00 0000 00000000 0900000000000000', 128, 9n],
    ['FRAME_UNKNOWN_OP', 'an op of the daemon, with flags', '84 07 0000 00000000 0900000000000000', 132, 9n],
    ['FRAME_UNKNOWN_OP', 'op 255 with flags', 'ff ff 0000 00000000 0900000000000000', 255, 9n],
    ['FRAME_UNKNOWN_FLAGS', 'bit 2 in OUTPUT', '01 04 0000 00000000 0900000000000000', 1, 9n],
    ['FRAME_UNKNOWN_FLAGS', 'bit 0 in RESERVE', '02 01 0000 00000000 0900000000000000', 2, 9n],
    [
      'FRAME_UNKNOWN_FLAGS',
      'bit 7 in SUBMIT',
      '03 80 0000 00000000 0900000000000000 0000000000000000',
      3,
      9n,
    ],
    [
      'FRAME_UNKNOWN_FLAGS',
      'bit 0 in DISCARD',
      '04 01 0000 00000000 0900000000000000 0000000000000000',
      4,
      9n,
    ],
    ['FRAME_UNKNOWN_FLAGS', 'bit 1 in WATCH', '05 03 0000 00000000 0900000000000000', 5, 9n],
    ['FRAME_UNKNOWN_FLAGS', 'bit 0 in QUERY', '06 01 0000 00000000 0900000000000000', 6, 9n],
    ['FRAME_UNKNOWN_FLAGS', 'bit 0 in WRITE', '07 01 0000 00000000 0900000000000000 0000000000000000', 7, 9n],
    [
      'FRAME_UNKNOWN_FLAGS',
      'bit 0 in COMMIT',
      '08 01 0000 00000000 0900000000000000 0000000000000000',
      8,
      9n,
    ],
    ['FRAME_SEQ_RANGE', '2^53 in OUTPUT', '01 00 0000 00000000 0000000000002000', 1, 2n ** 53n],
    ['FRAME_SEQ_RANGE', '2^64-1 in OUTPUT', '01 00 0000 00000000 ffffffffffffffff', 1, 2n ** 64n - 1n],
    ['FRAME_BODY_SIZE', 'a body in RESERVE', '02 00 0000 00000000 0900000000000000 00', 2, 9n],
    [
      'FRAME_BODY_SIZE',
      'seven bytes in SUBMIT',
      '03 00 0000 00000000 0900000000000000 00000000000000',
      3,
      9n,
    ],
    [
      'FRAME_BODY_SIZE',
      'seven bytes in DISCARD',
      '04 00 0000 00000000 0900000000000000 00000000000000',
      4,
      9n,
    ],
    [
      'FRAME_BODY_SIZE',
      'nine bytes in DISCARD',
      '04 00 0000 00000000 0900000000000000 000000000000000000',
      4,
      9n,
    ],
    ['FRAME_BODY_SIZE', 'a body in WATCH', '05 01 0000 00000000 0900000000000000 00', 5, 9n],
    ['FRAME_BODY_SIZE', 'a body in QUERY', '06 00 0000 00000000 0900000000000000 00', 6, 9n],
    ['FRAME_BODY_SIZE', 'no offset in WRITE', '07 00 0000 00000000 0900000000000000', 7, 9n],
    [
      'FRAME_BODY_SIZE',
      'nine bytes in COMMIT',
      '08 00 0000 00000000 0900000000000000 000000000000000000',
      8,
      9n,
    ],
  ])('with %s: %s', (error, _what, hex, op, seq) => {
    expect(decodeClientFrame(bytesOf(hex))).toMatchObject({ error, op, seq, errno: 'EPROTO' });
  });
});

describe('a frame of the daemon is refused', () => {
  const json = (text: string) =>
    `80 00 0000 01000000 0100000000000000 ${hexOf(new TextEncoder().encode(text))}`;

  it.each([
    ['FRAME_TRUNCATED', '15 bytes', '86 00 0000 00000000 01020304050607'],
    ['FRAME_UNKNOWN_OP', 'an op of a producer', '01 00 0000 00000000 0900000000000000'],
    ['FRAME_UNKNOWN_OP', 'op 0x87', '87 00 0000 00000000 0900000000000000'],
    ['FRAME_BODY_SIZE', 'ACK with one position', '81 00 0000 00000000 0900000000000000 0000000000000000'],
    ['FRAME_BODY_SIZE', 'ERROR with 23 bytes', `82 00 0000 00000000 0900000000000000 ${'00'.repeat(23)}`],
    ['FRAME_BODY_SIZE', 'RESERVED with 7 bytes', `83 00 0000 00000000 0900000000000000 ${'00'.repeat(7)}`],
    ['FRAME_BODY_SIZE', 'WAKEUP with 15 bytes', `84 00 0000 00000000 0900000000000000 ${'00'.repeat(15)}`],
    ['FRAME_BODY_SIZE', 'INFO with 31 bytes', `85 00 0000 00000000 0900000000000000 ${'00'.repeat(31)}`],
    ['FRAME_BODY_SIZE', 'DONE without a body', '86 00 0000 00000000 0900000000000000'],
    ['FRAME_BAD_JSON', 'WELCOME without a body', '80 00 0000 01000000 0100000000000000'],
    ['FRAME_BAD_JSON', 'WELCOME cut off', json('{"map":')],
    ['FRAME_BAD_JSON', 'WELCOME that is null', json('null')],
    ['FRAME_BAD_JSON', 'WELCOME that is a list', json('[]')],
    ['FRAME_BAD_JSON', 'WELCOME that is a number', json('1')],
    ['FRAME_BAD_JSON', 'WELCOME that is not UTF-8', '80 00 0000 01000000 0100000000000000 7b22ff223a317d'],
  ])('with %s: %s', (error, _what, hex) => {
    expect(decodeServerFrame(bytesOf(hex))).toMatchObject({ error, errno: 'EPROTO' });
  });

  it('reads an ERROR whose message is not UTF-8, for the errno is what matters', () => {
    const hex = `82 01 0000 1c000000 0700000000000000 ${'00'.repeat(24)} 66ff6c`;
    expect(decodeServerFrame(bytesOf(hex))).toMatchObject({ errno: 28, message: 'f\ufffdl' });
  });
});
