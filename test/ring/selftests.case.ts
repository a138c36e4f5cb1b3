/**
 * The kernel's twelve selftests for user ring buffers (tools/testing/selftests/bpf/prog_tests/user_ringbuf.c), by name,
 * written once for anything that hosts a map: the ring itself, a daemon over a socket, the SDK. What they do is the
 * kernel's; the words are ours. A host implements {@link SelftestHost} and calls {@link runKernelSelftests}.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** Opaque to the tests. */
export interface SelftestReservation {
  readonly size: number;
}

/** What one drain did. */
export interface SelftestDrain {
  /** Samples drained, or a negative errno. */
  ret: number;
  /** Every sample handed to the callback: its length and at least its first 16 bytes (all of them when it has fewer). */
  samples: { length: number; head: Uint8Array }[];
}

/** One map, new and empty. Everything that the kernel answers with an errno is answered with a negative errno. */
export interface SelftestMap {
  /** Managed maps: a reservation, or -E2BIG, or -ENOSPC. */
  reserve(size: number): Promise<SelftestReservation | number>;
  /** The same, but waits for a wakeup while the ring is full; -ENOSPC when `timeoutMs` passed without room. */
  reserveBlocking(size: number, timeoutMs: number): Promise<SelftestReservation | number>;
  /** Fills the reservation with `payload`, exactly as long as it, and submits it. */
  submit(reservation: SelftestReservation, payload: Uint8Array): Promise<void>;
  discard(reservation: SelftestReservation): Promise<void>;
  /** Direct maps: raw bytes into the data area, which is mapped twice. 0 or a negative errno. */
  write(offset: bigint, bytes: Uint8Array): Promise<number>;
  /** Direct maps: a raw producer position. 0 or a negative errno. */
  commit(producerPosition: bigint): Promise<number>;
  /** One drain with flags 0 and a callback that always answers 0. */
  drain(): Promise<SelftestDrain>;
  positions(): Promise<{ consumer: bigint; producer: bigint }>;
  /** Removes the map and what was opened for it. */
  close(): Promise<void>;
}

export interface SelftestHost {
  name: string;
  open(options: { maxEntries: number; mode: 'managed' | 'direct' }): Promise<SelftestMap>;
  /** Whether the host itself refuses raw access to managed maps, and reservations on direct ones, with EPERM. */
  guardsModes: boolean;
}

const EPERM = -1;
const E2BIG = -7;
const EINVAL = -22;
const ENOSPC = -28;

const RING_SIZE = 4096;
const HEADER_SIZE = 8;
/** struct sample: i32 pid, i32 seq, i64 value, char comm[16]. */
const SAMPLE_SIZE = 32;
const MAX_SAMPLES = Math.floor(RING_SIZE / (SAMPLE_SIZE + HEADER_SIZE));
const PID = 4711;

function sampleOf(seq: number): Uint8Array {
  const bytes = new Uint8Array(SAMPLE_SIZE);
  const view = new DataView(bytes.buffer);
  view.setInt32(0, PID, true);
  view.setInt32(4, seq, true);
  view.setBigInt64(8, BigInt(seq) ** 2n, true);
  bytes.set(new TextEncoder().encode(String(seq)), 16);
  return bytes;
}

/** Reserves one record that is known to fit. */
async function reserveNow(map: SelftestMap, size: number): Promise<SelftestReservation> {
  const reservation = await map.reserve(size);
  if (typeof reservation === 'number') throw new Error(`reserve(${size}) was refused with ${reservation}`);
  return reservation;
}

/** Writes samples 0 to count-1 until one is refused, then drains. */
async function writeSamples(
  map: SelftestMap,
  count: number,
): Promise<{ error: number; drain: SelftestDrain }> {
  let error = 0;
  for (let seq = 0; seq < count && error === 0; seq++) {
    const reservation = await map.reserve(SAMPLE_SIZE);
    if (typeof reservation === 'number') error = reservation;
    else await map.submit(reservation, sampleOf(seq));
  }
  return { error, drain: await map.drain() };
}

function expectSamples(drain: SelftestDrain, count: number): void {
  expect(drain.ret).toBe(count);
  const seen = drain.samples.map(({ length, head }) => [
    length,
    Buffer.from(head.subarray(0, 16)).toString('hex'),
  ]);
  const expected = Array.from({ length: count }, (_, seq) => [
    SAMPLE_SIZE,
    Buffer.from(sampleOf(seq).subarray(0, 16)).toString('hex'),
  ]);
  expect(seen).toEqual(expected);
}

/** test_msg: u32 op, 4 bytes of padding, then an s64 or an s32 operand. */
const MESSAGE_SIZE = 16;
const OPERAND_64 = 5n;
const OPERAND_32 = 3;
const TOP = 2n ** 64n;

/** One of four operations on a u64: add or multiply, by a 64-bit or a 32-bit operand. */
function messageOf(index: number): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_SIZE);
  const view = new DataView(bytes.buffer);
  const op = index % 4;
  view.setUint32(0, op, true);
  if (op % 2 === 0) view.setBigInt64(8, OPERAND_64, true);
  else view.setInt32(8, OPERAND_32, true);
  return bytes;
}

function applyMessage(value: bigint, message: Uint8Array): bigint {
  const view = new DataView(message.buffer, message.byteOffset);
  const op = view.getUint32(0, true);
  const operand = op % 2 === 0 ? view.getBigInt64(8, true) : BigInt(view.getInt32(8, true));
  return (op < 2 ? value + operand : value * operand) % TOP;
}

export function runKernelSelftests(host: SelftestHost): void {
  describe(`the kernel's user_ringbuf selftests on ${host.name}`, () => {
    let opened: SelftestMap[];
    const open = async (mode: 'managed' | 'direct'): Promise<SelftestMap> => {
      const map = await host.open({ maxEntries: RING_SIZE, mode });
      opened.push(map);
      return map;
    };

    beforeEach(() => {
      opened = [];
    });
    afterEach(async () => {
      for (const map of opened) await map.close();
    });

    /** A header of `size` at the start of the ring and a producer position of `position` + 8: the drain must refuse it. */
    const postInvalidSample = async (size: number, position: number, errno: number): Promise<void> => {
      const map = await open('direct');
      const header = new Uint8Array(HEADER_SIZE);
      new DataView(header.buffer).setUint32(0, size, true);
      expect(await map.write(0n, header)).toBe(0);
      expect(await map.commit(BigInt(position + HEADER_SIZE))).toBe(0);
      expect(await map.drain()).toEqual({ ret: errno, samples: [] });
      expect(await map.positions()).toEqual({ consumer: 0n, producer: BigInt(position + HEADER_SIZE) });
    };

    it('mappings: data and producer position can be written, the consumer position cannot, and nothing beyond', async () => {
      const map = await open('direct');
      const top = new Uint8Array(RING_SIZE).fill(0xff);
      expect(await map.write(0n, top)).toBe(0);
      expect(await map.write(BigInt(RING_SIZE), top)).toBe(0);
      expect(await map.write(BigInt(2 * RING_SIZE) - 1n, Uint8Array.of(0xff))).toBe(0);
      for (const offset of [2n * BigInt(RING_SIZE), 2n ** 32n, 2n ** 53n, 2n ** 64n - 8192n, 2n ** 64n - 1n])
        expect([offset, await map.write(offset, Uint8Array.of(0xff))]).toEqual([offset, EINVAL]);
      expect(await map.positions()).toEqual({ consumer: 0n, producer: 0n });
      for (const position of [8n, 5n, 2n ** 32n, 2n ** 64n - 1n]) {
        expect(await map.commit(position)).toBe(0);
        expect(await map.positions()).toEqual({ consumer: 0n, producer: position });
      }
    });

    if (host.guardsModes)
      it('mappings: a managed map gives no raw access, a direct one no reservations', async () => {
        const managed = await open('managed');
        expect(await managed.write(0n, Uint8Array.of(1))).toBe(EPERM);
        expect(await managed.commit(8n)).toBe(EPERM);
        expect(await managed.positions()).toEqual({ consumer: 0n, producer: 0n });
        const direct = await open('direct');
        expect(await direct.reserve(8)).toBe(EPERM);
        expect(await direct.positions()).toEqual({ consumer: 0n, producer: 0n });
      });

    it('post_misaligned: a producer position that is no multiple of 8 is EINVAL', async () => {
      await postInvalidSample(39, 39, EINVAL);
    });

    it('post_producer_wrong_offset: a sample that ends behind the producer position is EINVAL', async () => {
      await postInvalidSample(32, 24, EINVAL);
    });

    it('post_larger_than_ringbuf_sz: a sample larger than the ring is E2BIG', async () => {
      await postInvalidSample(RING_SIZE, RING_SIZE, E2BIG);
    });

    it('basic: two samples written are two samples drained', async () => {
      const { error, drain } = await writeSamples(await open('managed'), 2);
      expect(error).toBe(0);
      expectSamples(drain, 2);
    });

    it('sample_full_ring_buffer: one sample may fill the whole ring', async () => {
      const map = await open('managed');
      const size = RING_SIZE - HEADER_SIZE;
      const payload = new Uint8Array(size).fill(0x5a);
      await map.submit(await reserveNow(map, size), payload);
      expect(await map.positions()).toEqual({ consumer: 0n, producer: BigInt(RING_SIZE) });
      const { ret, samples } = await map.drain();
      expect([ret, samples.map((sample) => sample.length)]).toEqual([1, [size]]);
      expect([...samples[0]!.head.subarray(0, 16)]).toEqual([...payload.subarray(0, 16)]);
      expect(await map.positions()).toEqual({ consumer: BigInt(RING_SIZE), producer: BigInt(RING_SIZE) });
    });

    it('post_alignment_autoadjust: a size that is no multiple of 8 is rounded up in the ring, not in the sample', async () => {
      const map = await open('managed');
      await map.submit(await reserveNow(map, SAMPLE_SIZE + 1), new Uint8Array(SAMPLE_SIZE + 1));
      const { ret, samples } = await map.drain();
      expect([ret, samples.map((sample) => sample.length)]).toEqual([1, [SAMPLE_SIZE + 1]]);
      expect(await map.positions()).toEqual({ consumer: 48n, producer: 48n });
    });

    it('overfill: what does not fit is ENOSPC, what did fit is drained', async () => {
      const { error, drain } = await writeSamples(await open('managed'), 5 * MAX_SAMPLES);
      expect(error).toBe(ENOSPC);
      expectSamples(drain, MAX_SAMPLES);
    });

    it('discards_properly_ignored: a ring full of discards drains to nothing and has room again', async () => {
      const map = await open('managed');
      let discarded = 0;
      for (let token = await map.reserve(8); typeof token !== 'number'; token = await map.reserve(8)) {
        await map.discard(token);
        discarded++;
      }
      expect(discarded).toBe(RING_SIZE / (8 + HEADER_SIZE));
      expect(await map.reserve(8)).toBe(ENOSPC);
      expect(await map.drain()).toEqual({ ret: 0, samples: [] });
      await map.discard(await reserveNow(map, 8));
      expect(await map.positions()).toEqual({
        consumer: BigInt(RING_SIZE),
        producer: BigInt(RING_SIZE) + 16n,
      });
    });

    it('loop: 8192 samples pass through the ring in batches that fill it', async () => {
      const map = await open('managed');
      const total = 8192;
      let drained = 0;
      while (drained < total) {
        const count = Math.min(MAX_SAMPLES, total - drained);
        const { error, drain } = await writeSamples(map, count);
        expect(error).toBe(0);
        expectSamples(drain, count);
        drained += count;
      }
      const end = BigInt(total * (SAMPLE_SIZE + HEADER_SIZE));
      expect(await map.positions()).toEqual({ consumer: end, producer: end });
    });

    it('msg_protocol: messages of four kinds arrive whole and in order, in both directions', async () => {
      const [there, back] = [await open('managed'), await open('managed')];
      // What each side computes from what it sent or received.
      let sent = 0n;
      let received = 0n;
      let answered = 0n;
      let heard = 0n;
      let answers = 0;
      for (let i = 0; i < 64; i++) {
        const message = messageOf(i);
        await there.submit(await reserveNow(there, MESSAGE_SIZE), message);
        sent = applyMessage(sent, message);
        if (i % 8 !== 0) continue;

        const drain = await there.drain();
        expect(drain.ret).toBe(i === 0 ? 1 : 8);
        for (const { head } of drain.samples) received = applyMessage(received, head);
        expect(received).toBe(sent);

        for (let k = 0; k < 8; k++) {
          const answer = messageOf(answers++);
          await back.submit(await reserveNow(back, MESSAGE_SIZE), answer);
          answered = applyMessage(answered, answer);
        }
        const reply = await back.drain();
        expect(reply.ret).toBe(8);
        for (const { head } of reply.samples) heard = applyMessage(heard, head);
        expect(heard).toBe(answered);
      }
    });

    it('blocking_reserve: times out on a full ring, and gets its record once a drain made room', async () => {
      const map = await open('managed');
      const payload = Uint8Array.of(0xef, 0xbe, 0xad, 0xde, 0, 0, 0, 0);
      let written = 0;
      for (let token = await map.reserve(8); typeof token !== 'number'; token = await map.reserve(8)) {
        await map.submit(token, payload);
        written++;
      }
      expect(written).toBe(256);
      expect(await map.reserveBlocking(8, 50)).toBe(ENOSPC);
      expect(await map.positions()).toEqual({ consumer: 0n, producer: BigInt(RING_SIZE) });

      const start = performance.now();
      const waiting = map.reserveBlocking(8, 10_000);
      const drain = await map.drain();
      const token = await waiting;
      // Woken, and not found at the last try when the time was out.
      expect(performance.now() - start).toBeLessThan(8000);
      expect(token).toMatchObject({ size: 8 });
      expect(drain.ret).toBe(written);
      expect(new Set(drain.samples.map(({ head }) => Buffer.from(head).toString('hex')))).toEqual(
        new Set(['efbeadde00000000']),
      );
      await map.discard(token as SelftestReservation);
      expect(await map.positions()).toEqual({
        consumer: BigInt(RING_SIZE),
        producer: BigInt(RING_SIZE) + 16n,
      });
    });
  });
}
