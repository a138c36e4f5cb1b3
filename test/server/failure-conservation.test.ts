import fc from 'fast-check';
import { expect, it } from 'vitest';
import { records } from '../../src/ring/index.js';
import { decodeDeadLetter } from '../../src/server/dead-letter-envelope.js';
import type { OnError } from '../../src/server/on-error.js';
import { hostMaps, store } from './hosted.js';

const pauses = { backoff_min_ms: 1, backoff_max_ms: 4 };
const policies: fc.Arbitrary<OnError> = fc.oneof(
  fc.constant<OnError>({ policy: 'stop' }),
  fc.record({ max_attempts: fc.nat(3) }).map((r): OnError => ({ policy: 'retry', ...r, ...pauses })),
  fc
    .record({ max_attempts: fc.integer({ min: 1, max: 3 }) })
    .map((r): OnError => ({ policy: 'dead_letter', map: 'dlq', ...r, ...pauses })),
);

it('whatever fails and whatever the policy is, no sample is lost or doubled, and each way out keeps the order', async () => {
  await fc.assert(
    fc.asyncProperty(
      policies,
      fc.array(fc.boolean(), { maxLength: 200 }),
      fc.integer({ min: 1, max: 40 }),
      async (onError, failures, count) => {
        const { maps } = hostMaps();
        const { map } = maps.create('m', { maxEntries: 4096 });
        // Small on purpose: it is full now and then.
        const dlq = maps.create('dlq', { maxEntries: 4096 }).map;
        const spec = { kind: 'count', config: {}, trigger: { mode: 'manual' } as const, onError };
        const { registered } = await map.putHandler('h', spec);
        const taken: number[] = [];
        let call = 0;
        Object.assign(registered.handler, {
          onSample(sample: { copy: () => Uint8Array }) {
            if (failures[call++] ?? false) throw new Error('no');
            taken.push(sample.copy()[0]!);
            return 0;
          },
        });
        for (let i = 0; i < count; i++) store(map, Uint8Array.of(i));
        for (let drains = 0; drains < 250; drains++) await map.drain('h', 0, {});
        const dead = [...records(dlq.ring)].map((record) => decodeDeadLetter(record.payload())!.sample[0]!);
        const left = [...records(map.ring)].map((record) => record.payload()[0]!);
        const ascending = (list: number[]): number[] => [...list].sort((a, b) => a - b);
        expect(taken).toEqual(ascending(taken));
        expect(dead).toEqual(ascending(dead));
        expect(ascending([...taken, ...dead, ...left])).toEqual(Array.from({ length: count }, (_, i) => i));
        expect(map.counters).toMatchObject({
          drainedSamples: taken.length,
          deadLetteredSamples: dead.length,
          bufferedSamples: left.length,
        });
      },
    ),
    { numRuns: 60 },
  );
});
