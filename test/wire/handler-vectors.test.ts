/** Every frame of `ringbuf.v1.handler` as bytes written by hand: `op flags 0000 arg seq | body`, little-endian. */
import { describe, expect, it } from 'vitest';
import {
  ANSWER_FAILED,
  ANSWER_STOP,
  decodeHandlerClientFrame,
  decodeHandlerServerFrame,
  encodeHandlerClientFrame,
  encodeHandlerServerFrame,
  HANDLER_PROTOCOL_VERSION,
  HANDLER_SUBPROTOCOL,
  HandlerOp,
  Op,
  ROLE_ACTIVE,
  type AttachedBody,
  type HandlerClientFrame,
  type HandlerServerFrame,
} from '../../src/wire/index.js';

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/[ |]/g, ''), 'hex'));
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const packed = (hex: string) => hex.replaceAll(/[ |]/g, '');
const utf8 = (text: string) => Buffer.from(text).toString('hex');

const SEQ = 0x1122334455667788n;
const POSITION = 0xf1f2f3f4f5f6f7f8n;

const clientVectors: [name: string, hex: string, frame: HandlerClientFrame][] = [
  [
    'ANSWER, go on',
    '10 00 0000 03000000 8877665544332211 |',
    { op: 0x10, seq: SEQ, failed: false, consumed: 3, stop: false },
  ],
  [
    'ANSWER, stop',
    '10 01 0000 ffffffff 0100000000000000 |',
    { op: 0x10, seq: 1n, failed: false, consumed: 4294967295, stop: true },
  ],
  [
    'ANSWER, failed',
    `10 02 0000 05000000 0100000000000000 | ${utf8('no é')}`,
    { op: 0x10, seq: 1n, failed: true, errno: 5, message: 'no é' },
  ],
  [
    'ANSWER, failed without a word',
    '10 02 0000 16000000 0200000000000000 |',
    { op: 0x10, seq: 2n, failed: true, errno: 22, message: '' },
  ],
  ['CREDIT', '11 00 0000 00040000 8877665544332211 |', { op: 0x11, seq: SEQ, bytes: 1024 }],
];

const ATTACHED: AttachedBody = {
  map: 'm',
  handler: 'h',
  incarnation: 'x',
  client: '~1',
  role: 'standby',
  limits: { max_batch_bytes: 262144, timeout_ms: 5000, max_frame_bytes: 1048576 },
};

const serverVectors: [name: string, hex: string, frame: HandlerServerFrame][] = [
  [
    'ATTACHED',
    `90 00 0000 01000000 0000000000000000 | ${utf8(JSON.stringify(ATTACHED))}`,
    { op: 0x90, version: 1, body: ATTACHED },
  ],
  [
    'DELIVER of two samples, without a ctx',
    '91 00 0000 02000000 8877665544332211 | f8f7f6f5f4f3f2f1 00000000 00000000' +
      '02000000 00000000 6869000000000000 00000000 00000000',
    {
      op: 0x91,
      seq: SEQ,
      samples: 2,
      position: POSITION,
      ctx: new Uint8Array(0),
      run: bytesOf('02000000 00000000 6869000000000000 00000000 00000000'),
    },
  ],
  [
    'DELIVER with a ctx, padded to 8',
    `91 00 0000 01000000 0100000000000000 | 0800000000000000 07000000 00000000 ${utf8('{"a":1}')} 00` +
      '01000000 00000000 ff00000000000000',
    {
      op: 0x91,
      seq: 1n,
      samples: 1,
      position: 8n,
      ctx: bytesOf(utf8('{"a":1}')),
      run: bytesOf('01000000 00000000 ff00000000000000'),
    },
  ],
  ['ROLE, active', '92 01 0000 00000000 8877665544332211 |', { op: 0x92, seq: SEQ, active: true }],
  ['ROLE, standby', '92 00 0000 00000000 0000000000000000 |', { op: 0x92, seq: 0n, active: false }],
  ['CANCEL', '93 00 0000 6e000000 8877665544332211 |', { op: 0x93, seq: SEQ, errno: 110 }],
];

describe('the frames of an attached client', () => {
  it.each(clientVectors)('%s', (_name, hex, frame) => {
    expect(hexOf(encodeHandlerClientFrame(frame))).toBe(packed(hex));
    expect(decodeHandlerClientFrame(bytesOf(hex))).toEqual(frame);
  });

  it.each([
    ['cut short', '10 00 0000 03000000 88776655443322', 'FRAME_TRUNCATED'],
    ['empty', '', 'FRAME_TRUNCATED'],
    ['an op of a producer', '01 00 0000 00000000 0100000000000000', 'FRAME_UNKNOWN_OP'],
    ['an op of the daemon', '91 00 0000 00000000 0100000000000000', 'FRAME_UNKNOWN_OP'],
    ['reserved bytes that are not 0', '10 00 0001 03000000 0100000000000000', 'FRAME_RESERVED_NOT_ZERO'],
    ['ANSWER that stops and has failed', '10 03 0000 03000000 0100000000000000', 'FRAME_UNKNOWN_FLAGS'],
    ['ANSWER with an unknown flag', '10 04 0000 03000000 0100000000000000', 'FRAME_UNKNOWN_FLAGS'],
    ['ANSWER with a body', '10 00 0000 03000000 0100000000000000 00', 'FRAME_BODY_SIZE'],
    ['CREDIT with a flag', '11 01 0000 03000000 0100000000000000', 'FRAME_UNKNOWN_FLAGS'],
    ['CREDIT with a body', '11 00 0000 03000000 0100000000000000 00', 'FRAME_BODY_SIZE'],
  ])('are refused: %s', (_name, hex, error) => {
    expect(decodeHandlerClientFrame(bytesOf(hex))).toMatchObject({ error, errno: 'EPROTO' });
  });
});

describe('the frames of the daemon to an attached client', () => {
  it.each(serverVectors)('%s', (_name, hex, frame) => {
    expect(hexOf(encodeHandlerServerFrame(frame))).toBe(packed(hex));
    expect(decodeHandlerServerFrame(bytesOf(hex))).toEqual(frame);
  });

  it.each([
    ['cut short', '92 00 0000 00000000 00000000000000', 'FRAME_TRUNCATED'],
    ['ATTACHED without JSON', '90 00 0000 01000000 0000000000000000 7b', 'FRAME_BAD_JSON'],
    ['ATTACHED with an array', '90 00 0000 01000000 0000000000000000 5b5d', 'FRAME_BAD_JSON'],
    ['DELIVER without a prefix', '91 00 0000 01000000 0100000000000000 00', 'FRAME_BODY_SIZE'],
    [
      'DELIVER with a ctx longer than the message',
      '91 00 0000 01000000 0100000000000000 0000000000000000 ffffffff 00000000 00',
      'FRAME_BODY_SIZE',
    ],
    ['an op of the producer protocol', '80 00 0000 01000000 0000000000000000 7b7d', 'FRAME_UNKNOWN_OP'],
  ])('are refused: %s', (_name, hex, error) => {
    expect(decodeHandlerServerFrame(bytesOf(hex))).toMatchObject({ error });
  });
});

describe('the numbers of the handler protocol', () => {
  it('are those of the document', () => {
    expect(HANDLER_SUBPROTOCOL).toBe('ringbuf.v1.handler');
    expect(HANDLER_PROTOCOL_VERSION).toBe(1);
    expect(HandlerOp).toEqual({
      ANSWER: 0x10,
      CREDIT: 0x11,
      ATTACHED: 0x90,
      DELIVER: 0x91,
      ROLE: 0x92,
      CANCEL: 0x93,
    });
    expect([ANSWER_STOP, ANSWER_FAILED, ROLE_ACTIVE]).toEqual([1, 2, 1]);
  });

  it('are none of the producer protocol', () => {
    const taken = new Set<number>(Object.values(Op));
    expect(Object.values(HandlerOp).filter((op) => taken.has(op))).toEqual([]);
  });
});
