import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeClientJson,
  encodeBase64,
  encodeServerJson,
  isFrameError,
  type ClientFrame,
  type FrameError,
  type ServerFrame,
} from '../../src/wire/index.js';
import { clientFrames, serverFrames } from './arbitraries.js';

const MAX = 1 << 20;
const decode = (text: string, max = MAX) => decodeClientJson(text, max);
const decodeValue = (value: unknown) => decode(JSON.stringify(value));
const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const b64 = (bytes: Uint8Array) => ({ b64: encodeBase64(bytes) });

describe('a JSON message of a producer', () => {
  it('counts the samples before it makes anything of them', () => {
    // The last one is none: it would be complained about if it had been looked at.
    const samples = [...Array<string>(200).fill(''), 5];
    const result = decode(JSON.stringify({ op: 'output', seq: 1, samples }), 1024) as FrameError;
    expect(result).toMatchObject({ error: 'FRAME_BAD_FIELD', errno: 'EINVAL' });
    expect(result.message).toContain('201 samples');
  });

  it('does not send a long field name back', () => {
    const result = decodeValue({ op: 'query', ['x'.repeat(10_000)]: 1 }) as FrameError;
    expect(result.error).toBe('FRAME_BAD_FIELD');
    expect(result.message.length).toBeLessThan(200);
  });

  it('is the example of the protocol page, byte for byte a run', () => {
    expect(decode('{"op":"output","seq":1,"samples":["hi",{"b64":"AAE="}]}')).toEqual({
      op: 1,
      seq: 1,
      atomic: false,
      resend: false,
      run: bytesOf('02000000 00000000 6869000000000000 02000000 00000000 0001000000000000'),
    });
  });

  it.each<[string, ClientFrame]>([
    [
      '{"op":"output","seq":"9007199254740991","samples":[],"atomic":true,"resend":true}',
      { op: 1, seq: 9007199254740991, atomic: true, resend: true, run: new Uint8Array(0) },
    ],
    [
      '{"op":"output","seq":2,"samples":["grün \\u20ac \\ud83d\\ude00"]}',
      {
        op: 1,
        seq: 2,
        atomic: false,
        resend: false,
        run: bytesOf('0e000000 00000000 6772c3bc6e20e282ac20f09f9880 0000'),
      },
    ],
    ['{"op":"reserve","seq":3,"size":40}', { op: 2, seq: 3n, size: 40 }],
    ['{"op":"reserve","size":"4294967295"}', { op: 2, seq: 0n, size: 4294967295 }],
    [
      '{"op":"submit","seq":"18446744073709551615","position":"18446744073709551608","sample":"a"}',
      { op: 3, seq: 2n ** 64n - 1n, position: 2n ** 64n - 8n, payload: bytesOf('61') },
    ],
    [
      '{"op":"submit","seq":1,"position":0,"sample":{"b64":""}}',
      { op: 3, seq: 1n, position: 0n, payload: new Uint8Array(0) },
    ],
    ['{"op":"discard","seq":4,"position":"16"}', { op: 4, seq: 4n, position: 16n }],
    ['{"op":"watch"}', { op: 5, seq: 0n, on: true, minFree: 0 }],
    ['{"op":"watch","seq":5,"on":false,"min_free":"64"}', { op: 5, seq: 5n, on: false, minFree: 64 }],
    ['{"op":"query","seq":6}', { op: 6, seq: 6n }],
    [
      '{"op":"write","seq":7,"offset":"8191","bytes":{"b64":"/w=="}}',
      { op: 7, seq: 7n, offset: 8191n, bytes: bytesOf('ff') },
    ],
    ['{"op":"commit","seq":8,"producer_pos":"47"}', { op: 8, seq: 8n, producerPos: 47n }],
  ])('%s', (text, frame) => {
    expect(decode(text)).toEqual(frame);
  });

  it('says what the binary frame says', () => {
    fc.assert(
      fc.property(clientFrames, (frame) => {
        // A run in JSON is a list of samples: here one, of the run's bytes.
        const value = {
          1: () =>
            'run' in frame && {
              op: 'output',
              samples: [b64(frame.run)],
              atomic: frame.atomic,
              resend: frame.resend,
            },
          2: () => 'size' in frame && { op: 'reserve', size: frame.size },
          3: () =>
            'payload' in frame && {
              op: 'submit',
              position: String(frame.position),
              sample: b64(frame.payload),
            },
          4: () => frame.op === 4 && { op: 'discard', position: String(frame.position) },
          5: () => 'on' in frame && { op: 'watch', on: frame.on, min_free: frame.minFree },
          6: () => ({ op: 'query' }),
          7: () => 'bytes' in frame && { op: 'write', offset: String(frame.offset), bytes: b64(frame.bytes) },
          8: () => 'producerPos' in frame && { op: 'commit', producer_pos: String(frame.producerPos) },
        }[frame.op]();
        const decoded = decodeValue({ ...value, seq: String(frame.seq) });
        if (frame.op !== 1) expect(decoded).toEqual(frame);
        else {
          const run = (decoded as typeof frame).run;
          expect({ ...decoded, run: run.subarray(8, 8 + frame.run.length) }).toEqual(frame);
          expect(new DataView(run.buffer).getUint32(0, true)).toBe(frame.run.length);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('a JSON message is refused', () => {
  it.each([
    ['not JSON', '{"op":"query"'],
    ['empty', ''],
    ['a list', '[]'],
    ['a string', '"query"'],
    ['null', 'null'],
    ['a number', '7'],
    ['two values', '{"op":"query"}{"op":"query"}'],
  ])('with FRAME_BAD_JSON when it is %s', (_what, text) => {
    expect(decode(text)).toMatchObject({ error: 'FRAME_BAD_JSON', op: 0, seq: 0n, errno: 'EPROTO' });
  });

  it.each([
    ['absent', {}],
    ['not a string', { op: 1 }],
    ['in upper case', { op: 'OUTPUT' }],
    ['one of the daemon', { op: 'ack' }],
    ['an inherited name', { op: 'constructor' }],
    ['a list of one', { op: ['query'] }],
  ])('with FRAME_UNKNOWN_OP when op is %s', (_what, value) => {
    expect(decodeValue(value)).toMatchObject({ error: 'FRAME_UNKNOWN_OP', op: 0, errno: 'EPROTO' });
  });

  it.each([
    ['absent', undefined],
    ['negative', -1],
    ['a fraction', 1.5],
    ['null', null],
    ['true', true],
    ['text', 'one'],
    ['hexadecimal', '0x10'],
    ['empty', ''],
    ['signed', '+1'],
    ['padded', ' 1'],
    ['a line', '1\n'],
    ['above 2^53-1', '9007199254740992'],
    ['above 2^64-1', '18446744073709551616'],
    ['of 21 digits', '000000000000000000001'],
    ['a number that is not exact', 9007199254740992],
  ])(
    'with EPROTO when the seq of an output is %s: the next output could not be told from it',
    (_what, seq) => {
      const result = decodeValue({ op: 'output', seq, samples: [] });
      expect(result).toMatchObject({ error: 'FRAME_BAD_FIELD', op: 1, errno: 'EPROTO' });
      expect((result as FrameError).message).toContain('"seq"');
    },
  );

  it.each<[field: string, message: Record<string, unknown>]>([
    ['seq', { op: 'query', seq: -1 }],
    ['seq', { op: 'reserve', seq: '18446744073709551616', size: 1 }],
    ['samples', { op: 'output' }],
    ['samples', { op: 'output', samples: 'hi' }],
    ['samples', { op: 'output', samples: { 0: 'hi', length: 1 } }],
    ['samples[1]', { op: 'output', samples: ['a', 1] }],
    ['samples[0]', { op: 'output', samples: [null] }],
    ['samples[0]', { op: 'output', samples: [['hi']] }],
    ['samples[0]', { op: 'output', samples: [{}] }],
    ['samples[0]', { op: 'output', samples: [{ b64: 7 }] }],
    ['samples[0]', { op: 'output', samples: [{ b64: 'A' }] }],
    ['samples[0]', { op: 'output', samples: [{ b64: 'AA E=' }] }],
    ['samples[0]', { op: 'output', samples: [{ b64: 'AA-_' }] }],
    ['samples[0]', { op: 'output', samples: [{ b64: 'AAE=', more: 1 }] }],
    ['samples[2]', { op: 'output', samples: ['a', 'b', '\ud800 is half a character'] }],
    ['samples[0]', { op: 'output', samples: ['\udc00'] }],
    ['atomic', { op: 'output', samples: [], atomic: 1 }],
    ['atomic', { op: 'output', samples: [], atomic: null }],
    ['resend', { op: 'output', samples: [], resend: 'true' }],
    ['size', { op: 'reserve' }],
    ['size', { op: 'reserve', size: -1 }],
    ['size', { op: 'reserve', size: 4294967296 }],
    ['size', { op: 'reserve', size: '4294967296' }],
    ['size', { op: 'reserve', size: null }],
    ['position', { op: 'submit', sample: 'a' }],
    ['sample', { op: 'submit', position: 0 }],
    ['sample', { op: 'submit', position: 0, sample: 7 }],
    ['position', { op: 'discard' }],
    ['position', { op: 'discard', position: 0.5 }],
    ['on', { op: 'watch', on: 'yes' }],
    ['on', { op: 'watch', on: null }],
    ['min_free', { op: 'watch', min_free: 4294967296 }],
    ['min_free', { op: 'watch', min_free: -8 }],
    ['offset', { op: 'write', bytes: 'a' }],
    ['bytes', { op: 'write', offset: 0 }],
    ['bytes', { op: 'write', offset: 0, bytes: [1, 2] }],
    ['producer_pos', { op: 'commit' }],
    ['producer_pos', { op: 'commit', producer_pos: '0x10' }],
    ['sample', { op: 'query', sample: 'of another op' }],
    ['minFree', { op: 'watch', minFree: 8 }],
    ['__proto__', JSON.parse('{"op":"query","__proto__":{"seq":1}}') as Record<string, unknown>],
    ['constructor', { op: 'query', constructor: 1 }],
  ])('with EINVAL for the field "%s" of %j', (field, message) => {
    const result = decodeValue({ seq: 5, ...message });
    expect(result).toMatchObject({ error: 'FRAME_BAD_FIELD', errno: 'EINVAL' });
    expect((result as FrameError).message).toContain(`"${field}"`);
    if (field !== 'seq') expect(result).toMatchObject({ seq: 5n });
  });

  it('when its samples are more than a frame may hold, and not when they are exactly as much', () => {
    const message = JSON.stringify({ op: 'output', seq: 9, samples: ['', '12345678', '1'] });
    expect(isFrameError(decode(message, 40))).toBe(false);
    expect(decode(message, 39)).toMatchObject({ error: 'FRAME_BAD_FIELD', errno: 'EINVAL', op: 1, seq: 9n });
  });
});

describe('any text at all', () => {
  const names = ['output', 'reserve', 'submit', 'discard', 'watch', 'query', 'write', 'commit', 'ack', ''];
  const fields = [
    'seq',
    'samples',
    'atomic',
    'resend',
    'size',
    'position',
    'sample',
    'on',
    'min_free',
    'offset',
    'bytes',
    'producer_pos',
    '__proto__',
  ];

  it.each([
    ['random text', fc.string()],
    ['random JSON', fc.json()],
    [
      'JSON with the right names and any values',
      fc
        .tuple(
          fc.constantFrom(...names),
          fc.dictionary(fc.constantFrom(...fields), fc.jsonValue({ maxDepth: 2 })),
        )
        .map(([op, values]) => JSON.stringify({ ...values, op })),
    ],
  ])('(%s) is a frame or a named error', (_kind, texts) => {
    fc.assert(
      fc.property(texts, (text) => {
        const result = decode(text);
        if (!isFrameError(result)) expect(result.op).toBeGreaterThan(0);
        else {
          expect(['FRAME_BAD_JSON', 'FRAME_UNKNOWN_OP', 'FRAME_BAD_FIELD']).toContain(result.error);
          expect(['EPROTO', 'EINVAL']).toContain(result.errno);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('nested as deep as a frame is long is refused and not an exception', () => {
    expect(decode('['.repeat(MAX))).toMatchObject({ error: 'FRAME_BAD_JSON' });
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    expect(decode(`{"op":"output","seq":1,"samples":[${deep}]}`)).toMatchObject({ error: 'FRAME_BAD_FIELD' });
    expect(decode(`{"op":"query","seq":${deep}}`)).toMatchObject({ error: 'FRAME_BAD_FIELD' });
  });
});

describe('a JSON message of the daemon', () => {
  const positions = { producerPos: 32n, consumerPos: 0n };

  it.each<[string, ServerFrame]>([
    // The example of the protocol page.
    [
      '{"op":"ack","seq":"1","durability":"memory","producer_pos":"32","consumer_pos":"0"}',
      { op: 0x81, seq: 1, durability: 'memory', ...positions },
    ],
    [
      '{"op":"error","request":"output","errno":"ENOSPC","seq":"7","accepted":3,"retry_after_ms":100,"producer_pos":"32","consumer_pos":"0","message":"the ring is full"}',
      {
        op: 0x82,
        request: 1,
        errno: 28,
        seq: 7n,
        accepted: 3,
        retryAfterMs: 100,
        ...positions,
        message: 'the ring is full',
      },
    ],
    [
      '{"op":"error","request":null,"errno":"EPROTO","seq":"0","accepted":0,"retry_after_ms":0,"producer_pos":"32","consumer_pos":"0","message":""}',
      { op: 0x82, request: 0, errno: 71, seq: 0n, accepted: 0, retryAfterMs: 0, ...positions, message: '' },
    ],
    [
      '{"op":"reserved","seq":"18446744073709551615","position":"18446744073709551608"}',
      { op: 0x83, seq: 2n ** 64n - 1n, position: 2n ** 64n - 8n },
    ],
    [
      '{"op":"wakeup","seq":"9","forced":false,"writable":true,"at_once":false,"drained":2,"producer_pos":"32","consumer_pos":"0"}',
      { op: 0x84, seq: 9n, forced: false, writable: true, atOnce: false, drained: 2, ...positions },
    ],
    [
      '{"op":"info","seq":"6","avail_data":"32","ring_size":"4096","consumer_pos":"0","producer_pos":"32"}',
      { op: 0x85, seq: 6n, availData: 32n, ringSize: 4096n, ...positions },
    ],
    ['{"op":"done","seq":"5","producer_pos":"32","consumer_pos":"0"}', { op: 0x86, seq: 5n, ...positions }],
    [
      '{"op":"welcome","seq":"41","version":1,"map":"m","incarnation":"x","max_entries":4096,"mode":"direct","durability":"memory","producer":"p","resumed":true,"partial":2,"acked_pos":"64","producer_pos":"96","consumer_pos":"64","limits":{"max_frame_bytes":1048576,"max_reservations":1024,"lease_ms":30000}}',
      {
        op: 0x80,
        version: 1,
        seq: 41,
        body: {
          map: 'm',
          incarnation: 'x',
          max_entries: 4096,
          mode: 'direct',
          durability: 'memory',
          producer: 'p',
          resumed: true,
          partial: 2,
          acked_pos: '64',
          producer_pos: '96',
          consumer_pos: '64',
          limits: { max_frame_bytes: 1048576, max_reservations: 1024, lease_ms: 30000 },
        },
      },
    ],
  ])('%s', (text, frame) => {
    expect(encodeServerJson(frame)).toBe(text);
  });

  it('has every u64 as a decimal string that loses nothing', () => {
    fc.assert(
      fc.property(serverFrames, (frame) => {
        const value = JSON.parse(encodeServerJson(frame)) as Record<string, unknown>;
        expect(value.seq).toBe(String(frame.seq));
        if ('producerPos' in frame)
          expect([value.producer_pos, value.consumer_pos]).toEqual([
            String(frame.producerPos),
            String(frame.consumerPos),
          ]);
        if ('position' in frame) expect(value.position).toBe(String(frame.position));
        if ('ringSize' in frame)
          expect([value.avail_data, value.ring_size]).toEqual([
            String(frame.availData),
            String(frame.ringSize),
          ]);
      }),
    );
  });

  it('has an errno that it has no name for as its number', () => {
    const text = encodeServerJson({
      op: 0x82,
      request: 2,
      errno: 133,
      seq: 1n,
      accepted: 0,
      retryAfterMs: 0,
      ...positions,
      message: '',
    });
    expect(JSON.parse(text)).toMatchObject({ request: 'reserve', errno: '133' });
  });
});
