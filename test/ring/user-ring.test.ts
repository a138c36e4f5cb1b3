import { describe, expect, it } from 'vitest';
import { Consumer, Producer, UserRing, checkAttributes, createUserRing } from '../../src/ring/index.js';
import { rawRing } from './raw.js';

describe('creating a ring', () => {
  it.each([4096, 8192, 65536, 2 ** 20, 2 ** 29, 2 ** 30])('accepts max_entries %d', (maxEntries) => {
    expect(checkAttributes({ maxEntries })).toBe(0);
  });

  it('accepts BPF_F_NUMA_NODE and zero sizes', () => {
    expect(checkAttributes({ maxEntries: 4096, keySize: 0, valueSize: 0, mapFlags: 4 })).toBe(0);
  });

  it.each([
    ['a key size', { maxEntries: 4096, keySize: 4 }],
    ['a value size', { maxEntries: 4096, valueSize: 8 }],
    ['a key size that is not a number', { maxEntries: 4096, keySize: NaN }],
    ['an unknown flag', { maxEntries: 4096, mapFlags: 1 }],
    ['an unknown flag beside the known one', { maxEntries: 4096, mapFlags: 5 }],
    ['a key size, before the size is looked at', { maxEntries: 2 ** 31, keySize: 1 }],
  ])('refuses %s with EINVAL', (_what, attributes) => {
    expect(checkAttributes(attributes)).toBe(-22);
  });

  it('makes an empty, zeroed ring over the buffer asked for', () => {
    const plain = createUserRing({ maxEntries: 4096 });
    expect(plain.buffer).toBeInstanceOf(ArrayBuffer);
    expect([plain.shared, plain.mode, plain.size]).toEqual([false, 'direct', 4096]);
    const shared = createUserRing({ maxEntries: 8192 }, { shared: true, mode: 'managed' });
    expect(shared.buffer).toBeInstanceOf(SharedArrayBuffer);
    expect([shared.shared, shared.mode, shared.size]).toEqual([true, 'managed', 8192]);
    for (const ring of [plain, shared]) {
      expect(ring.buffer.byteLength).toBe(8192 + ring.size);
      expect(ring.bytes.every((byte) => byte === 0)).toBe(true);
      expect([ring.consumerPosition, ring.producerPosition, ring.used]).toEqual([0n, 0n, 0]);
      expect(ring.writable).toBe(true);
    }
  });

  it('throws what checkAttributes would have said', () => {
    expect(() => createUserRing({ maxEntries: 12288 })).toThrow(/12288.*22/);
    expect(() => createUserRing({ maxEntries: 2 ** 31 })).toThrow(/errno 7/);
  });
});

describe('attaching to a ring image', () => {
  it.each([0, 8192, 8192 + 2048, 8192 + 4095, 8192 + 12288])('refuses an image of %d bytes', (bytes) => {
    expect(() => new UserRing(new ArrayBuffer(bytes))).toThrow(RangeError);
  });

  it('goes on where the image stands', () => {
    const first = rawRing(4096);
    for (const text of ['one', 'two', 'three']) first.producer.output(Buffer.from(text));
    first.consumer.drain(() => 1, undefined);

    const ring = new UserRing(first.bytes.slice().buffer);
    expect([ring.consumerPosition, ring.producerPosition]).toEqual([16n, 48n]);
    new Producer(ring).output(Buffer.from('four'));
    const texts: string[] = [];
    const ret = new Consumer(ring).drain(
      (sample) => (texts.push(Buffer.from(sample.copy()).toString()), 0),
      undefined,
    );
    expect(ret).toBe(3);
    expect(texts).toEqual(['two', 'three', 'four']);
  });

  it('is the kernel layout: positions as u64 at 0 and 4096, records from 8192 on', () => {
    const raw = rawRing(4096);
    raw.producer.output(Uint8Array.of(0xaa, 0xbb, 0xcc));
    raw.producer.reserve(1);
    raw.consumer.drain(() => 1, undefined);
    expect(raw.view.getBigUint64(0, true)).toBe(0x10n);
    expect(raw.view.getBigUint64(0x1000, true)).toBe(0x20n);
    const data = Buffer.from(raw.bytes.subarray(0x2000, 0x2018)).toString('hex');
    expect(data).toBe('03000000' + '00000000' + 'aabbcc0000000000' + '01000080' + '00000000');
  });
});

describe('poll and query', () => {
  it.each([
    // consumer, producer, used (mod 2^64), writable
    [0n, 0n, 0n, true],
    [0n, 4088n, 4088n, true],
    [0n, 4096n, 4096n, false],
    [0n, 4104n, 4104n, false],
    [8n, 0n, 2n ** 64n - 8n, false],
    [0n, 2n ** 32n, 2n ** 32n, false],
    [0n, 2n ** 32n + 8n, 2n ** 32n + 8n, false],
    [2n ** 64n - 8n, 8n, 16n, true],
    [2n ** 53n + 8n, 2n ** 53n + 4104n, 4096n, false],
    [2n ** 63n - 8n, 2n ** 63n + 4080n, 4088n, true],
  ])(
    'at consumer %d and producer %d see %d bytes used, writable %s',
    (consumer, producer, used, writable) => {
      const { ring } = rawRing(4096, { consumer, producer });
      expect(ring.writable).toBe(writable);
      expect(ring.used).toBe(Number(used));
      expect(ring.free).toBe(writable ? 4096 - Number(used) : 0);
      expect([ring.consumerLow, ring.producerLow]).toEqual(
        [consumer, producer].map((position) => Number(BigInt.asIntN(32, position))),
      );
      expect(ring.query()).toEqual({
        availData: used,
        ringSize: 4096n,
        consumerPos: consumer,
        producerPos: producer,
      });
    },
  );
});
