/**
 * Every malformed frame and run: an exact errno or close code, one counter moved by exactly one, nothing else changed,
 * and nobody else disturbed.
 */
import { describe, expect, it } from 'vitest';
import { Errno } from '../../src/ring/index.js';
import { CloseCode, encodeClientFrame, Op, Subprotocol, type ClientFrame } from '../../src/wire/index.js';
import type { MapBody } from '../support/rest.js';
import { RawClient, type RawClientOptions } from '../support/raw-client.js';
import { clientFrame, Opcode, upgradeRequest } from '../support/raw-socket.js';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const MAX_FRAME = 65536;
const BUSY = 0x80000000;
const DISCARD = 0x40000000;

/** A binary frame by hand. */
function frame(
  op: number,
  fields: { flags?: number; reserved?: number; arg?: number; seq?: bigint; body?: Uint8Array } = {},
): Buffer {
  const { flags = 0, reserved = 0, arg = 0, seq = 1n, body = new Uint8Array(0) } = fields;
  const header = Buffer.alloc(16);
  header.writeUInt8(op, 0);
  header.writeUInt8(flags, 1);
  header.writeUInt16LE(reserved, 2);
  header.writeUInt32LE(arg, 4);
  header.writeBigUInt64LE(seq, 8);
  return Buffer.concat([header, body]);
}

/** A record by hand: header words as they are given, then `rest`. */
function record(length: number, pad: number, rest: Uint8Array | string): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(length >>> 0, 0);
  header.writeUInt32LE(pad, 4);
  return Buffer.concat([header, Buffer.from(rest as string)]);
}

const good = record(3, 0, 'abc\0\0\0\0\0');
const u64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};

describe('bad input', () => {
  const test = useDaemon({ limits: { max_frame_bytes: MAX_FRAME } });

  interface Expected {
    /** Of the ERROR frame, if there is one. */
    error?: { errno: keyof typeof Errno; request: number; seq?: bigint };
    close?: number;
    /** `errno|reason`. */
    counter: string;
  }

  /** What may not change by a bad frame: everything that operators see, but the refusals. */
  const snapshot = ({ counters, ...map }: MapBody): unknown => ({
    ...map,
    oldest_age_ms: 0,
    counters: { ...counters, refused: {} },
  });

  /** Sends something bad next to an innocent producer of the same map and one of another. */
  const expectRefused = async (
    send: (client: RawClient) => void | Promise<void>,
    expected: Expected,
    options: {
      mode?: 'managed' | 'direct';
      client?: RawClientOptions;
      setUp?: (c: RawClient) => Promise<void>;
    } = {},
  ): Promise<void> => {
    const { rest } = test.daemon;
    const mode = options.mode ?? 'managed';
    const [map, other] = [await test.newMap({ mode }), await test.newMap()];
    const bystander = mode === 'managed' ? await test.client(map) : undefined;
    const stranger = await test.client(other);
    const client = await test.client(map, '', options.client);
    await options.setUp?.(client);
    const before = await rest.showMap(map);
    const otherBefore = await rest.showMap(other);

    await send(client);
    if (expected.error) {
      const { errno, request, seq } = expected.error;
      if (options.client?.protocols?.[0] === Subprotocol.JSON)
        expect(await client.nextJson()).toMatchObject({ op: 'error', errno });
      else
        expect(await client.expect(Op.ERROR)).toMatchObject({
          errno: Errno[errno],
          request,
          ...(seq !== undefined && { seq }),
          accepted: 0,
        });
    }
    if (expected.close === undefined) expect(client.closed).toBeUndefined();
    else expect((await client.ended()).code).toBe(expected.close);
    await until(
      async () => (await rest.showMap(map)).producers === before.producers - (expected.close ? 1 : 0),
    );

    const after = await rest.showMap(map);
    expect(after.counters.refused).toEqual({
      ...before.counters.refused,
      [expected.counter]: (before.counters.refused[expected.counter] ?? 0) + 1,
    });
    expect(snapshot({ ...after, producers: 0 })).toEqual(snapshot({ ...before, producers: 0 }));
    expect(await rest.showMap(other)).toEqual(otherBefore);

    // The others go on, and so does the offender if it was left connected.
    bystander?.output(1, ['fine']);
    stranger.output(1, ['fine']);
    await bystander?.expect(Op.ACK);
    await stranger.expect(Op.ACK);
    if (!expected.close && options.client === undefined) await client.query();
  };

  const eproto = (request: number, seq = 1n): Expected => ({
    error: { errno: 'EPROTO', request, seq },
    close: CloseCode.PROTOCOL_ERROR,
    counter: 'EPROTO|bad_frame',
  });

  describe('frames that cannot be read end the connection with EPROTO and 4505', () => {
    it.each<[string, Buffer, Expected]>([
      ['an empty message', Buffer.alloc(0), eproto(0, 0n)],
      ['a truncated header', frame(Op.QUERY).subarray(0, 15), eproto(Op.QUERY, 0n)],
      ['op 0', frame(0), eproto(0)],
      ['an unknown op', frame(0x09), eproto(0x09)],
      ["the daemon's own op", frame(Op.ACK, { body: Buffer.alloc(16) }), eproto(Op.ACK)],
      ['op 255', frame(0xff), eproto(0xff)],
      ['reserved bytes that are not zero', frame(Op.OUTPUT, { reserved: 1 }), eproto(Op.OUTPUT)],
      ['unknown OUTPUT flags', frame(Op.OUTPUT, { flags: 4, body: good }), eproto(Op.OUTPUT)],
      ['an OUTPUT with an arg', frame(Op.OUTPUT, { arg: 1, body: good }), eproto(Op.OUTPUT)],
      [
        'a sequence number over 2^53',
        frame(Op.OUTPUT, { seq: 2n ** 53n, body: good }),
        eproto(Op.OUTPUT, 2n ** 53n),
      ],
      ['unknown WATCH flags', frame(Op.WATCH, { flags: 2 }), eproto(Op.WATCH)],
      ['flags on an op that has none', frame(Op.QUERY, { flags: 1 }), eproto(Op.QUERY)],
      ['a RESERVE with a body', frame(Op.RESERVE, { arg: 8, body: u64(0n) }), eproto(Op.RESERVE)],
      ['a SUBMIT without a position', frame(Op.SUBMIT, { body: Buffer.alloc(7) }), eproto(Op.SUBMIT)],
      ['a DISCARD that is too long', frame(Op.DISCARD, { body: Buffer.alloc(9) }), eproto(Op.DISCARD)],
      ['a DISCARD that is too short', frame(Op.DISCARD, { body: Buffer.alloc(7) }), eproto(Op.DISCARD)],
      ['a COMMIT that is too short', frame(Op.COMMIT, { body: Buffer.alloc(7) }), eproto(Op.COMMIT)],
      ['a WATCH with a body', frame(Op.WATCH, { flags: 1, body: u64(0n) }), eproto(Op.WATCH)],
      ['a QUERY with a body', frame(Op.QUERY, { body: u64(0n) }), eproto(Op.QUERY)],
    ])('%s', async (_what, bytes, expected) => {
      await expectRefused((client) => client.sendBytes(bytes), expected);
    });

    it('a text message in binary mode', async () => {
      await expectRefused((client) => client.sendText('{"op":"query"}'), eproto(0, 0n));
    });

    it('nothing that came behind it is stored, also not from the same read', async () => {
      const map = await test.newMap();
      const raw = await test.raw();
      raw.write(
        upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.BINARY }),
      );
      await raw.head();
      const output = (seq: bigint): Buffer =>
        clientFrame(Opcode.BINARY, frame(Op.OUTPUT, { seq, body: good }));
      raw.write(output(1n), clientFrame(Opcode.BINARY, frame(0x77)), output(2n), output(3n));
      expect(await raw.closeFrame()).toMatchObject({ code: 4505 });
      expect((await test.daemon.rest.peek(map)).length).toBe(1);
      const { refused } = (await test.daemon.rest.showMap(map)).counters;
      expect(refused).toEqual({ 'EPROTO|bad_frame': 1, 'EBUSY|fenced': 2 });
    });
  });

  describe('runs that are none are EINVAL, store nothing, and leave the connection open', () => {
    const expected: Expected = {
      error: { errno: 'EINVAL', request: Op.OUTPUT, seq: 1n },
      counter: 'EINVAL|bad_run',
    };
    const padding = (at: number): Buffer => {
      const bytes = Buffer.from(good);
      bytes[at] = 1;
      return bytes;
    };
    it.each<[string, Buffer]>([
      ['a truncated record header', good.subarray(0, 7)],
      ['a header alone that promises a payload', record(8, 0, '')],
      ['a length past the end', record(9, 0, 'abcdefgh')],
      ['a length past the end by the padding only', record(3, 0, 'abc')],
      ['a length near 2^30', record(DISCARD - 1, 0, 'abcdefgh')],
      ['BUSY', record((3 | BUSY) >>> 0, 0, 'abc\0\0\0\0\0')],
      ['DISCARD', record((3 | DISCARD) >>> 0, 0, 'abc\0\0\0\0\0')],
      ['BUSY and DISCARD', record((3 | BUSY | DISCARD) >>> 0, 0, 'abc\0\0\0\0\0')],
      ['a pad word that is not zero', record(3, 1, 'abc\0\0\0\0\0')],
      ['non-zero padding right behind the payload', padding(11)],
      ['non-zero padding in the last byte', padding(15)],
      ['trailing bytes', Buffer.concat([good, Buffer.of(0)])],
      ['trailing zeros that are half a header', Buffer.concat([good, Buffer.alloc(4)])],
      ['a good record before a bad one', Buffer.concat([good, record(3, 1, 'abc\0\0\0\0\0')])],
    ])('%s', async (_what, run) => {
      await expectRefused((client) => client.sendBytes(frame(Op.OUTPUT, { body: run })), expected);
    });
  });

  describe('what can never fit is E2BIG', () => {
    const tooBig = (request: number): Expected => ({
      error: { errno: 'E2BIG', request, seq: 1n },
      counter: 'E2BIG|never_fits',
    });
    it('a record larger than the ring', async () => {
      const run = record(4096, 0, new Uint8Array(4096));
      await expectRefused((client) => client.sendBytes(frame(Op.OUTPUT, { body: run })), tooBig(Op.OUTPUT));
    });
    it('an ATOMIC run larger than the ring, of records that are not', async () => {
      const run = Buffer.concat([
        record(2048, 0, new Uint8Array(2048)),
        record(2048, 0, new Uint8Array(2048)),
      ]);
      await expectRefused(
        (client) => client.sendBytes(frame(Op.OUTPUT, { flags: 1, body: run })),
        tooBig(Op.OUTPUT),
      );
    });
    it.each([4089, 2 ** 30, 2 ** 31, 2 ** 32 - 1])('a RESERVE of %i bytes', async (size) => {
      await expectRefused((client) => client.send({ op: Op.RESERVE, seq: 1n, size }), tooBig(Op.RESERVE));
    });
    it('a WATCH for more than the ring', async () => {
      await expectRefused(
        (client) => client.send({ op: Op.WATCH, seq: 1n, on: true, minFree: 4097 }),
        tooBig(Op.WATCH),
      );
    });
  });

  describe('reservations that are not what the frame says', () => {
    const cases: [string, ClientFrame, keyof typeof Errno, string][] = [
      [
        'SUBMIT of an unknown one',
        { op: Op.SUBMIT, seq: 1n, position: 8n, payload: Buffer.alloc(8) },
        'ENOENT',
        'reservation_unknown',
      ],
      [
        'DISCARD of an unknown one',
        { op: Op.DISCARD, seq: 1n, position: 2n ** 64n - 8n },
        'ENOENT',
        'reservation_unknown',
      ],
      [
        'SUBMIT one byte short',
        { op: Op.SUBMIT, seq: 1n, position: 0n, payload: Buffer.alloc(7) },
        'EINVAL',
        'reservation_size',
      ],
      [
        'SUBMIT one byte long',
        { op: Op.SUBMIT, seq: 1n, position: 0n, payload: Buffer.alloc(9) },
        'EINVAL',
        'reservation_size',
      ],
    ];
    it.each(cases)('%s', async (_what, bad, errno, reason) => {
      await expectRefused(
        (client) => client.send(bad),
        { error: { errno, request: bad.op, seq: 1n }, counter: `${errno}|${reason}` },
        { setUp: async (client) => void (await client.reserve(8)) },
      );
    });

    it("another connection's", async () => {
      const map = await test.newMap();
      const [owner, thief] = [await test.client(map), await test.client(map)];
      const position = await owner.reserve(8);
      thief.send({ op: Op.DISCARD, seq: 9n, position });
      expect(await thief.expect(Op.ERROR)).toMatchObject({
        errno: Errno.ENOENT,
        seq: 9n,
        request: Op.DISCARD,
      });
      thief.send({ op: Op.SUBMIT, seq: 10n, position, payload: new Uint8Array(8) });
      expect(await thief.expect(Op.ERROR)).toMatchObject({ errno: Errno.ENOENT, seq: 10n });
      owner.send({ op: Op.SUBMIT, seq: 1n, position, payload: Buffer.from('8 bytes!') });
      await owner.expect(Op.DONE);
      expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('8 bytes!').toString('hex')]);
    });
  });

  describe('operations that the mode of the map does not have are EPERM', () => {
    it.each<[string, 'managed' | 'direct', ClientFrame]>([
      ['WRITE', 'managed', { op: Op.WRITE, seq: 1n, offset: 0n, bytes: new Uint8Array(8) }],
      ['COMMIT', 'managed', { op: Op.COMMIT, seq: 1n, producerPos: 8n }],
      ['OUTPUT', 'direct', { op: Op.OUTPUT, seq: 1, atomic: false, resend: false, run: good }],
      ['RESERVE', 'direct', { op: Op.RESERVE, seq: 1n, size: 8 }],
      ['SUBMIT', 'direct', { op: Op.SUBMIT, seq: 1n, position: 0n, payload: new Uint8Array(8) }],
      ['DISCARD', 'direct', { op: Op.DISCARD, seq: 1n, position: 0n }],
    ])('%s on a %s map', async (_name, mode, bad) => {
      await expectRefused(
        (client) => client.sendBytes(encodeClientFrame(bad)),
        { error: { errno: 'EPERM', request: bad.op, seq: 1n }, counter: 'EPERM|not_allowed' },
        { mode },
      );
    });

    it.each([8193n, 2n ** 32n, 2n ** 64n - 8n])(
      'a WRITE at %i, outside the double mapping, is EINVAL',
      async (offset) => {
        await expectRefused(
          (client) => client.send({ op: Op.WRITE, seq: 1n, offset, bytes: new Uint8Array(8) }),
          { error: { errno: 'EINVAL', request: Op.WRITE }, counter: 'EINVAL|bad_argument' },
          { mode: 'direct' },
        );
      },
    );
  });

  describe('messages over a limit', () => {
    it('a frame over the limit by one byte is closed 1009', async () => {
      const run = record(MAX_FRAME - 8 - 7, 0, Buffer.alloc(MAX_FRAME - 8 + 1));
      await expectRefused((client) => client.sendBytes(frame(Op.OUTPUT, { body: run })), {
        close: 1009,
        counter: 'E2BIG|never_fits',
      });
    });

    it('too many fragments are closed 1008', async () => {
      const map = await test.newMap();
      const raw = await test.raw();
      raw.write(
        upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.BINARY }),
      );
      await raw.head();
      raw.write(clientFrame(Opcode.BINARY, frame(Op.QUERY).subarray(0, 1), { fin: false }));
      for (let i = 0; i < 100; i++) raw.write(clientFrame(Opcode.CONTINUATION, Buffer.of(0), { fin: false }));
      expect(await raw.closeFrame()).toEqual({ code: 1008, reason: 'E2BIG: too many fragments' });
      expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'E2BIG|bad_frame': 1 });
    });

    it('a frame that is not masked is closed 1002', async () => {
      const map = await test.newMap();
      const raw = await test.raw();
      raw.write(
        upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.BINARY }),
      );
      await raw.head();
      raw.write(clientFrame(Opcode.BINARY, frame(Op.QUERY), { masked: false }));
      expect(await raw.closeFrame()).toMatchObject({ code: 1002 });
      expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'EPROTO|bad_frame': 1 });
    });

    it('a message in fragments below the limit is a message like any other', async () => {
      const map = await test.newMap();
      const raw = await test.raw();
      raw.write(
        upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.BINARY }),
      );
      await raw.head();
      const bytes = frame(Op.OUTPUT, { body: good });
      for (let i = 0; i < bytes.length; i++)
        raw.write(
          clientFrame(i === 0 ? Opcode.BINARY : Opcode.CONTINUATION, bytes.subarray(i, i + 1), {
            fin: i === bytes.length - 1,
          }),
        );
      await raw.frame();
      expect((await raw.frame()).payload[0]).toBe(Op.ACK);
    });
  });

  describe('JSON mode', () => {
    const client: RawClientOptions = { protocols: [Subprotocol.JSON] };
    it.each<[string, string]>([
      ['not JSON', 'output'],
      ['JSON cut off', '{"op":"query"'],
      ['an array', '[]'],
      ['null', 'null'],
      ['no op', '{}'],
      ['an unknown op', '{"op":"outputs"}'],
      ['an op that is inherited by every object', '{"op":"constructor"}'],
      ['an output without seq', '{"op":"output","samples":[]}'],
      ['an output with a fractional seq', '{"op":"output","seq":1.5,"samples":[]}'],
    ])('%s is EPROTO and 4505', async (_what, text) => {
      await expectRefused(
        (c) => c.sendText(text),
        { error: { errno: 'EPROTO', request: 0 }, close: 4505, counter: 'EPROTO|bad_frame' },
        { client },
      );
    });

    it.each<[string, string]>([
      ['samples that are no array', '{"op":"output","seq":1,"samples":"a"}'],
      ['a sample that is a number', '{"op":"output","seq":1,"samples":[1]}'],
      ['base64 that is none', '{"op":"output","seq":1,"samples":[{"b64":"A"}]}'],
      ['a lone surrogate', '{"op":"output","seq":1,"samples":["\\ud800"]}'],
      ['an unknown field', '{"op":"output","seq":1,"samples":[],"atomc":true}'],
      ['a string for a boolean', '{"op":"watch","on":"yes"}'],
      ['a size over u32', '{"op":"reserve","size":4294967296}'],
      ['a negative position', '{"op":"discard","position":-8}'],
    ])('%s is EINVAL and leaves the connection open', async (_what, text) => {
      await expectRefused(
        (c) => c.sendText(text),
        { error: { errno: 'EINVAL', request: 0 }, counter: 'EINVAL|bad_frame' },
        { client },
      );
    });

    it('a binary message is EPROTO and 4505', async () => {
      await expectRefused(
        (c) => c.sendBytes(Buffer.from('{"op":"query"}')),
        { error: { errno: 'EPROTO', request: 0 }, close: 4505, counter: 'EPROTO|bad_frame' },
        { client },
      );
    });

    it('text that is not UTF-8 is closed 1007', async () => {
      const map = await test.newMap();
      const raw = await test.raw();
      raw.write(upgradeRequest(test.daemon.host, `/v1/maps/${map}/produce`, { protocol: Subprotocol.JSON }));
      await raw.head();
      raw.write(clientFrame(Opcode.TEXT, Buffer.from([0x22, 0xff, 0x22])));
      expect(await raw.closeFrame()).toEqual({ code: 1007, reason: 'EPROTO: text that is not UTF-8' });
      expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({ 'EPROTO|bad_frame': 1 });
    });

    it('a refused output leaves its number open, and what is malformed behind it is ignored like the rest', async () => {
      const map = await test.newMap();
      const json = await test.client(map, '', client);
      json.sendText('{"op":"output","seq":1,"samples":[1]}');
      expect(await json.nextJson()).toMatchObject({ errno: 'EINVAL', seq: '1', accepted: 0 });
      json.sendText('{"op":"output","seq":2,"samples":[2]}');
      json.sendText('{"op":"output","seq":2,"samples":["b"]}');
      json.sendText('{"op":"output","seq":1,"samples":["a"]}');
      expect(await json.nextJson()).toMatchObject({ op: 'ack', seq: '1' });
      json.sendText('{"op":"output","seq":2,"samples":["b"]}');
      expect(await json.nextJson()).toMatchObject({ op: 'ack', seq: '2' });
      expect((await test.daemon.rest.showMap(map)).counters.refused).toEqual({
        'EINVAL|bad_frame': 1,
        'EAGAIN|ignored_after_error': 2,
      });
      expect(await test.daemon.rest.drainSamples(map)).toEqual(['61', '62']);
    });

    it('a RESERVE whose SUBMIT could not pass as JSON is E2BIG', async () => {
      const map = await test.newMap({ max_entries: 1 << 20 });
      const json = await test.client(map, '', client);
      json.sendJson({ op: 'reserve', size: MAX_FRAME - 8 });
      expect(await json.nextJson()).toMatchObject({ op: 'error', errno: 'E2BIG', request: 'reserve' });
      const size = MAX_FRAME + 16 - '{"op":"submit","position":"18446744073709551615","sample":""}'.length;
      json.sendJson({ op: 'reserve', size });
      expect(await json.nextJson()).toMatchObject({ op: 'reserved', position: '0' });
      json.sendJson({ op: 'submit', position: '0', sample: 'x'.repeat(size) });
      expect(await json.nextJson()).toMatchObject({ op: 'done' });
    });
  });

  it('a thousand random messages end no connection but their own, and no daemon', async () => {
    const map = await test.newMap();
    const bystander = await test.client(map);
    let seed = 1;
    const random = (): number => (seed = (seed * 48271) % 2147483647);
    for (let i = 0; i < 40; i++) {
      const client = await test.client(map, '', i % 2 === 0 ? {} : { protocols: [Subprotocol.JSON] });
      for (let k = 0; k < 25; k++) {
        const bytes = Buffer.from(Array.from({ length: random() % 64 }, () => random() & 0xff));
        if (bytes.length > 0) bytes[0] = random() % 9;
        client.sendBytes(bytes);
      }
      client.terminate();
    }
    bystander.output(1, ['still here']);
    await bystander.expect(Op.ACK);
    expect((await RawClient.welcomed(test.daemon.produceUrl(map)).then((c) => c.close(1000))).code).toBe(
      1000,
    );
  });
});
