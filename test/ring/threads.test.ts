/**
 * A ring between two threads: ours on this side, and on the other one a few lines that know the format only, with Atomics
 * and numbers of their own.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { rawRing, type RawRing } from './raw.js';

const SAMPLES = 20_000;
/** Close to the carry into the high half. */
const START = 2n ** 32n - 512n;

/** Payload i has 4 + i % 60 bytes and begins with i as u32; the others are i & 255. */
const OTHER_SIDE = `
  const { workerData, parentPort } = require('node:worker_threads');
  const words = new Int32Array(workerData.buffer);
  const bytes = new Uint8Array(workerData.buffer);
  const view = new DataView(workerData.buffer);
  const mask = 4095;
  const nap = () => Atomics.wait(words, 100, 0, 1);
  const total = (length) => (length + 15) & ~7;
  const move = (word, by) => {
    const before = words[word];
    if (((before + by) >>> 0) < (before >>> 0)) words[word + 1]++;
    Atomics.store(words, word, (before + by) | 0);
  };
  if (workerData.role === 'producer') {
    for (let i = 0; i < workerData.samples; i++) {
      const length = 4 + (i % 60);
      while (4096 - ((words[1024] - Atomics.load(words, 0)) | 0) < total(length)) nap();
      const at = words[1024] & mask;
      Atomics.store(words, (8192 + at) >> 2, length | (1 << 31));
      view.setUint32(8192 + at + 4, 0, true);
      move(1024, total(length));
      for (let b = 0; b < length; b++)
        bytes[8192 + ((at + 8 + b) & mask)] = b < 4 ? i >>> (8 * b) : i;
      Atomics.store(words, (8192 + at) >> 2, length);
    }
    parentPort.postMessage('done');
  } else {
    const wrong = [];
    for (let i = 0; i < workerData.samples; ) {
      if (Atomics.load(words, 1024) === words[0]) { nap(); continue; }
      const at = words[0] & mask;
      const header = Atomics.load(words, (8192 + at) >> 2);
      if (header < 0) { nap(); continue; }
      if (header !== 4 + (i % 60)) wrong.push([i, header]);
      for (let b = 0; b < header; b++)
        if (bytes[8192 + ((at + 8 + b) & mask)] !== ((b < 4 ? i >>> (8 * b) : i) & 255)) wrong.push([i, b]);
      move(0, total(header));
      i++;
    }
    parentPort.postMessage(wrong.slice(0, 5));
  }
`;

let worker: Worker | undefined;

afterEach(async () => {
  await worker?.terminate();
});

function startOtherSide(role: 'producer' | 'consumer', raw: RawRing): Promise<unknown[]> {
  worker = new Worker(OTHER_SIDE, {
    eval: true,
    workerData: { buffer: raw.ring.buffer, role, samples: SAMPLES },
  });
  return once(worker, 'message');
}

function payloadOf(i: number): Uint8Array {
  const payload = new Uint8Array(4 + (i % 60)).fill(i);
  new DataView(payload.buffer).setUint32(0, i, true);
  return payload;
}

describe('a shared ring', () => {
  it('drains here what another thread produces: every sample once, whole and in order', async () => {
    const raw = rawRing(4096, { mode: 'managed', shared: true, consumer: START, producer: START });
    const finished = startOtherSide('producer', raw);
    const deadline = Date.now() + 15_000;
    let next = 0;
    const wrong: number[] = [];
    while (next < SAMPLES && Date.now() < deadline) {
      const ret = raw.consumer.drain((sample) => {
        if (Buffer.compare(sample.copy(), payloadOf(next)) !== 0) wrong.push(next);
        next++;
        return 0;
      }, undefined);
      if (ret <= 0) await nextTurn();
      expect(ret).toBeGreaterThanOrEqual(0);
    }
    expect([next, wrong]).toEqual([SAMPLES, []]);
    await finished;
    expect(raw.ring.consumerPosition).toBe(raw.ring.producerPosition);
    expect(raw.ring.consumerPosition).toBeGreaterThan(2n ** 32n);
  });

  it('carries what is produced here to another thread', async () => {
    const raw = rawRing(4096, { mode: 'managed', shared: true, consumer: START, producer: START });
    const finished = startOtherSide('consumer', raw);
    const deadline = Date.now() + 15_000;
    let next = 0;
    while (next < SAMPLES && Date.now() < deadline) {
      const payload = payloadOf(next);
      // Every second one with the single steps, so that the other side meets BUSY.
      const reservation = next % 2 === 0 ? raw.producer.reserve(payload.length) : -1;
      if (reservation >= 0) {
        raw.producer.fill(reservation, payload);
        raw.producer.submit(reservation);
      }
      const ret = next % 2 === 0 ? Math.min(reservation, 0) : raw.producer.output(payload);
      if (ret === 0) next++;
      else {
        expect(ret).toBe(-28);
        await nextTurn();
      }
    }
    expect(next).toBe(SAMPLES);
    expect(await finished).toEqual([[]]);
    expect(raw.ring.used).toBe(0);
  });
});
