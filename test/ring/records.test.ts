import { describe, expect, it } from 'vitest';
import { records } from '../../src/ring/index.js';
import { drainAll, pokeProducer, rawRing } from './raw.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const payload = (length: number, byte: number): Uint8Array => new Uint8Array(length).fill(byte);

describe('records', () => {
  it('shows what lies in the ring, in order, with its state, and consumes nothing', () => {
    const raw = rawRing(4096);
    raw.producer.output(payload(3, 0x61));
    raw.producer.discard(raw.producer.reserve(5));
    raw.producer.reserve(9);
    const shown = [...records(raw.ring)].map(({ position, length, state }) => ({ position, length, state }));
    expect(shown).toEqual([
      { position: 0n, length: 3, state: 'ready' },
      { position: 16n, length: 5, state: 'discarded' },
      { position: 32n, length: 9, state: 'busy' },
    ]);
    expect(raw.ring.consumerPosition).toBe(0n);
    expect([...records(raw.ring)]).toHaveLength(3);
  });

  it('copies a payload that wraps, and no more of it than asked for', () => {
    const raw = rawRing(4096);
    raw.producer.output(payload(4072, 1));
    drainAll(raw);
    raw.producer.output(Uint8Array.from(Buffer.from('0123456789abcdef0123456789', 'latin1')));
    const [record] = [...records(raw.ring)];
    expect(text(record!.payload())).toBe('0123456789abcdef0123456789');
    expect(text(record!.payload(10))).toBe('0123456789');
    expect(record!.payload(0)).toHaveLength(0);
  });

  it('shows all records of a ring that is filled to its last byte', () => {
    const raw = rawRing(4096);
    for (let i = 0; i < 512; i++) raw.producer.output(new Uint8Array(0));
    expect(raw.ring.free).toBe(0);
    expect([...records(raw.ring)]).toHaveLength(512);
  });

  it('ends before a record that a drain would refuse, and never runs away on absurd positions', () => {
    const raw = rawRing(4096);
    raw.producer.output(payload(8, 7));
    raw.view.setUint32(0x2000 + 16, 5000, true);
    pokeProducer(raw, 32n);
    expect([...records(raw.ring)].map(({ length }) => length)).toEqual([8]);
    pokeProducer(raw, 2n ** 64n - 8n);
    expect([...records(raw.ring)].length).toBeLessThanOrEqual(512);
  });
});
