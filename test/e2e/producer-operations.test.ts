/** Every operation of the protocol table, in binary and in JSON, on a real socket. */
import { describe, expect, it } from 'vitest';
import { Op, Subprotocol } from '../../src/wire/index.js';
import { useDaemon } from '../support/use-daemon.js';

const json = { protocols: [Subprotocol.JSON] };

describe('ringbuf.v1', () => {
  const test = useDaemon({ limits: { max_frame_bytes: 65536, max_reservations_per_connection: 5 } });

  it('WELCOME says which map this is, and the limits', async () => {
    const map = await test.newMap({ max_entries: 8192 });
    const client = await test.open(map, 'producer=p');
    const { incarnation } = await test.daemon.rest.showMap(map);
    expect(client.socket.protocol).toBe('ringbuf.v1');
    expect(await client.expect(Op.WELCOME)).toEqual({
      op: Op.WELCOME,
      version: 1,
      seq: 0,
      body: {
        map,
        incarnation,
        max_entries: 8192,
        mode: 'managed',
        durability: 'memory',
        producer: 'p',
        resumed: false,
        partial: 0,
        acked_pos: '0',
        producer_pos: '0',
        consumer_pos: '0',
        limits: { max_frame_bytes: 65536, max_reservations: 5, lease_ms: 30000 },
      },
    });
  });

  it('OUTPUT stores samples and ACKs them', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, ['a', 'bc', new Uint8Array(0)]);
    expect(await client.expect(Op.ACK)).toEqual({
      op: Op.ACK,
      seq: 1,
      durability: 'memory',
      producerPos: 40n,
      consumerPos: 0n,
    });
    expect(await test.daemon.rest.drainSamples(map)).toEqual(['61', '6263', '']);
    client.output(2, []);
    // An empty OUTPUT acknowledges no further record.
    expect(await client.expect(Op.ACK)).toEqual({
      op: Op.ACK,
      seq: 2,
      durability: 'memory',
      producerPos: 40n,
      consumerPos: 40n,
    });
  });

  it('RESERVE, SUBMIT and DISCARD', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.send({ op: Op.RESERVE, seq: 10n, size: 3 });
    expect(await client.next()).toEqual({ op: Op.RESERVED, seq: 10n, position: 0n });
    client.send({ op: Op.RESERVE, seq: 2n ** 64n - 1n, size: 8 });
    expect(await client.next()).toEqual({ op: Op.RESERVED, seq: 2n ** 64n - 1n, position: 16n });
    client.send({ op: Op.DISCARD, seq: 12n, position: 16n });
    expect(await client.next()).toEqual({ op: Op.DONE, seq: 12n, producerPos: 32n, consumerPos: 0n });
    // The first record is still BUSY: a drain stops at it.
    expect(await test.daemon.rest.drain(map)).toMatchObject({ ret: 0, drained: 0, discarded: 0 });
    client.send({ op: Op.SUBMIT, seq: 13n, position: 0n, payload: Buffer.from('xyz') });
    expect(await client.next()).toEqual({ op: Op.DONE, seq: 13n, producerPos: 32n, consumerPos: 0n });
    expect(await test.daemon.rest.drain(map, 'capture')).toMatchObject({ ret: 1, drained: 1, discarded: 1 });
  });

  it('WATCH on, at once and after a drain, and off', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.send({ op: Op.WATCH, seq: 5n, on: true, minFree: 4096 });
    expect(await client.next()).toEqual({ op: Op.DONE, seq: 5n, producerPos: 0n, consumerPos: 0n });
    expect(await client.next()).toEqual({
      op: Op.WAKEUP,
      forced: false,
      writable: true,
      atOnce: true,
      drained: 0,
      seq: 0n,
      producerPos: 0n,
      consumerPos: 0n,
    });
    client.output(1, ['a']);
    await client.expect(Op.ACK);
    await test.daemon.rest.drain(map);
    expect(await client.next()).toEqual({
      op: Op.WAKEUP,
      forced: false,
      writable: true,
      atOnce: false,
      drained: 1,
      seq: 1n,
      producerPos: 16n,
      consumerPos: 16n,
    });
    client.send({ op: Op.WATCH, seq: 6n, on: false, minFree: 0 });
    expect(await client.next()).toMatchObject({ op: Op.DONE, seq: 6n });
    await test.daemon.rest.drain(map, 'count', { flags: ['BPF_RB_FORCE_WAKEUP'] });
    expect(await client.settle()).toEqual([]);
  });

  it('QUERY gives the four BPF_RB_* values', async () => {
    const map = await test.newMap();
    const client = await test.client(map);
    client.output(1, ['a', 'b']);
    await client.expect(Op.ACK);
    await test.daemon.rest.drain(map, 'capture', { ctx: { stop_after: 1 } });
    client.send({ op: Op.QUERY, seq: 77n });
    expect(await client.next()).toEqual({
      op: Op.INFO,
      seq: 77n,
      availData: 16n,
      ringSize: 4096n,
      consumerPos: 16n,
      producerPos: 32n,
    });
  });

  it('WRITE and COMMIT on a direct map', async () => {
    const map = await test.newMap({ mode: 'direct' });
    const client = await test.client(map);
    const record = Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 0x68, 0x69]);
    client.send({ op: Op.WRITE, seq: 1n, offset: 0n, bytes: record });
    expect(await client.next()).toEqual({ op: Op.DONE, seq: 1n, producerPos: 0n, consumerPos: 0n });
    client.send({ op: Op.COMMIT, seq: 2n, producerPos: 16n });
    expect(await client.next()).toEqual({ op: Op.DONE, seq: 2n, producerPos: 16n, consumerPos: 0n });
    expect(await test.daemon.rest.drainSamples(map)).toEqual(['6869']);
  });

  it('frames of 64 KiB and more, up to the limit to the byte', async () => {
    const map = await test.newMap({ max_entries: 1 << 20 });
    const client = await test.client(map);
    client.output(1, [new Uint8Array(65536 - 8).fill(0x41)]);
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 1, producerPos: 65536n });
    client.output(2, [new Uint8Array(65536 - 8 - 16), new Uint8Array(8)]);
    expect(await client.expect(Op.ACK)).toMatchObject({ seq: 2, producerPos: 131072n });
    expect((await test.daemon.rest.peek(map)).map(({ len }) => len)).toEqual([65528, 65512, 8]);
  });
});

describe('ringbuf.v1.json', () => {
  const test = useDaemon();

  it('WELCOME', async () => {
    const map = await test.newMap();
    const client = await test.open(map, '', json);
    expect(client.socket.protocol).toBe('ringbuf.v1.json');
    expect(await client.nextJson()).toEqual({
      op: 'welcome',
      seq: '0',
      version: 1,
      map,
      incarnation: (await test.daemon.rest.showMap(map)).incarnation,
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
    });
  });

  it('output, and its errors', async () => {
    const map = await test.newMap();
    const client = await test.client(map, '', json);
    client.sendJson({ op: 'output', seq: 1, samples: ['hi', { b64: 'AAE=' }] });
    expect(await client.nextJson()).toEqual({
      op: 'ack',
      durability: 'memory',
      seq: '1',
      producer_pos: '32',
      consumer_pos: '0',
    });
    client.sendJson({ op: 'output', seq: '2', samples: ['x'.repeat(4000), 'y'.repeat(80)] });
    expect(await client.nextJson()).toEqual({
      op: 'error',
      request: 'output',
      errno: 'ENOSPC',
      seq: '2',
      accepted: 1,
      retry_after_ms: 1000,
      producer_pos: '4040',
      consumer_pos: '0',
      message: '1 of 2 samples are stored, 56 bytes are free',
    });
    expect((await test.daemon.rest.drainSamples(map)).map((hex) => hex.slice(0, 8))).toEqual([
      '6869',
      '0001',
      '78787878',
    ]);
    client.sendJson({ op: 'output', seq: 2, samples: ['x'.repeat(4000), 'y'.repeat(80)], resend: true });
    expect(await client.nextJson()).toMatchObject({ op: 'ack', seq: '2', producer_pos: '4128' });
    expect((await test.daemon.rest.peek(map)).map(({ len }) => len)).toEqual([80]);
  });

  it('text is UTF-8 in the ring', async () => {
    const map = await test.newMap();
    const client = await test.client(map, '', json);
    client.sendJson({ op: 'output', seq: 1, samples: ['žluť 🐎', ''] });
    await client.nextJson();
    expect(await test.daemon.rest.drainSamples(map)).toEqual([Buffer.from('žluť 🐎').toString('hex'), '']);
  });

  it('reserve, submit, discard, watch and query', async () => {
    const map = await test.newMap();
    const client = await test.client(map, '', json);
    client.sendJson({ op: 'reserve', seq: 'x', size: 2 });
    expect(await client.nextJson()).toMatchObject({ op: 'error', request: 'reserve', errno: 'EINVAL' });
    client.sendJson({ op: 'reserve', seq: '18446744073709551615', size: 2 });
    expect(await client.nextJson()).toEqual({ op: 'reserved', seq: '18446744073709551615', position: '0' });
    client.sendJson({ op: 'reserve', seq: 3, size: 9 });
    expect(await client.nextJson()).toEqual({ op: 'reserved', seq: '3', position: '16' });
    client.sendJson({ op: 'submit', seq: 4, position: '0', sample: 'ok' });
    expect(await client.nextJson()).toEqual({
      op: 'done',
      seq: '4',
      producer_pos: '40',
      consumer_pos: '0',
    });
    client.sendJson({ op: 'discard', seq: 5, position: 16 });
    expect(await client.nextJson()).toMatchObject({ op: 'done', seq: '5' });
    client.sendJson({ op: 'watch', seq: 6, min_free: 4056 });
    expect(await client.nextJson()).toMatchObject({ op: 'done', seq: '6' });
    expect(await client.nextJson()).toEqual({
      op: 'wakeup',
      seq: '0',
      forced: false,
      writable: true,
      at_once: true,
      drained: 0,
      producer_pos: '40',
      consumer_pos: '0',
    });
    await test.daemon.rest.drain(map, 'capture', { flags: 2 });
    expect(await client.nextJson()).toEqual({
      op: 'wakeup',
      seq: '1',
      forced: true,
      writable: true,
      at_once: false,
      drained: 1,
      producer_pos: '40',
      consumer_pos: '40',
    });
    client.sendJson({ op: 'watch', seq: 7, on: false });
    expect(await client.nextJson()).toMatchObject({ op: 'done', seq: '7' });
    client.sendJson({ op: 'query' });
    expect(await client.nextJson()).toEqual({
      op: 'info',
      seq: '0',
      avail_data: '0',
      ring_size: '4096',
      consumer_pos: '40',
      producer_pos: '40',
    });
  });

  it('write and commit on a direct map, positions beyond 2^53 as strings', async () => {
    const map = await test.newMap({ mode: 'direct' });
    const client = await test.client(map, '', json);
    client.sendJson({ op: 'write', seq: 1, offset: 0, bytes: { b64: 'AQAAAAAAAABB' } });
    expect(await client.nextJson()).toMatchObject({ op: 'done', seq: '1' });
    client.sendJson({ op: 'commit', seq: 2, producer_pos: '18446744073709551608' });
    expect(await client.nextJson()).toEqual({
      op: 'done',
      seq: '2',
      producer_pos: '18446744073709551608',
      consumer_pos: '0',
    });
    client.sendJson({ op: 'commit', seq: 3, producer_pos: 16 });
    await client.nextJson();
    expect(await test.daemon.rest.drainSamples(map)).toEqual(['41']);
  });
});
