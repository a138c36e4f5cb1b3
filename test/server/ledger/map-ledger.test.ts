import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { checkRun, recordSize } from '../../../src/ring/index.js';
import { reportLedger, reportLine } from '../../../src/server/ledger/ledger-report.js';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { buildRun, SampleHash } from '../../../src/wire/index.js';
import { toBytes } from '../../support/raw-client.js';
import { hostMaps, putHandler, type HostedMaps } from '../hosted.js';

let hosted: HostedMaps;
let map: HostedMap;

beforeEach(async () => {
  hosted = hostMaps();
  map = hosted.maps.create('m', { maxEntries: 4096, ledger: 'hash' }).map;
  await putHandler(map, undefined, { manual: true });
});

const store = (producer: string | null, ...samples: string[]): void => {
  const run = buildRun(samples.map(toBytes));
  map.intake.store(run, checkRun(new DataView(run.buffer), map.ring.size), map.ledger.lineOf(producer));
};
const line = (producer: string) => reportLine(map.ledger.lineOf(producer), true);
const hashOf = (...samples: string[]): string => {
  const hash = new SampleHash();
  for (const sample of samples) hash.add(toBytes(sample));
  return hash.digest();
};
const failing = (): string[] =>
  reportLedger(map).checks.flatMap(({ check, holds, detail }) => (holds ? [] : [`${check}: ${detail}`]));

describe('the ledger of a map', () => {
  it('tells producers apart, whatever a drain takes at once', async () => {
    store('a', 'one', 'two');
    store('b', 'three');
    store('a', 'four');
    await map.drain('h', 0, {}, { maxTurns: 3 });
    expect(line('a')).toMatchObject({
      drained: { samples: 2 },
      buffered: { samples: 1, bytes: 16 },
      holds: true,
    });
    expect(line('b')).toMatchObject({
      drained: { samples: 1, bytes: 16 },
      buffered: { samples: 0, bytes: 0 },
    });
    expect(reportLedger(map)).toMatchObject({
      holds: true,
      counted: true,
      accepted: { samples: 4, bytes: 64 },
      drained: { samples: 3, bytes: 48 },
      buffered: { samples: 1, bytes: 16 },
    });
  });

  it('hashes what was accepted and what was drained, as the reference does', async () => {
    store('a', 'one', 'two and more', '');
    store('b', 'x');
    store('a', 'a longer sample than the others');
    const sent = hashOf('one', 'two and more', '', 'a longer sample than the others');
    expect(line('a').hash).toEqual({ accepted: sent, drained: hashOf(), complete: true });
    await map.drain('h', 0, {}, { maxTurns: 2 });
    expect(line('a').hash).toMatchObject({ drained: hashOf('one', 'two and more') });
    await map.drain('h', 0, {});
    expect(line('a').hash).toMatchObject({ accepted: sent, drained: sent });
    expect(line('b').hash).toMatchObject({ drained: hashOf('x') });
  });

  it('hashes a reservation by its place, whenever it is submitted, and leaves a discarded one out', async () => {
    const holder = { openReservations: 0 };
    const own = map.ledger.lineOf('a');
    const first = map.intake.reserve(holder, 5, own);
    const second = map.intake.reserve(holder, 3, own);
    const third = map.intake.reserve(holder, 4, own);
    map.intake.submit(holder, third, toBytes('last'));
    map.intake.discard(holder, second);
    map.intake.submit(holder, first, toBytes('first'));
    const expected = new SampleHash();
    expected.add(toBytes('first'));
    expected.skip();
    expected.add(toBytes('last'));
    await map.drain('h', 0, {});
    expect(line('a')).toMatchObject({
      drained: { samples: 2, bytes: 32 },
      discarded: { samples: 1, bytes: 16 },
      hash: { accepted: expected.digest(), drained: expected.digest(), complete: true },
    });
    expect(failing()).toEqual([]);
  });

  it('gives two orders of the same samples two hashes', () => {
    expect(hashOf('a', 'b')).not.toBe(hashOf('b', 'a'));
    expect(hashOf('ab', 'c')).not.toBe(hashOf('a', 'bc'));
    expect(hashOf('a')).not.toBe(hashOf('a', ''));
  });

  it('says that it does not hold when a sample goes another way', async () => {
    store('a', 'one', 'two', 'three');
    // As a wrong line of code would have it: the consumer position moves, and nobody books it.
    map.ring.consumerPosition += 16n;
    map.ledger.released(
      { samples: 1, discarded: 0, discardedBytes: 0, bytes: 16 },
      map.ring.consumerLow,
      'drained',
    );
    expect(reportLedger(map).holds).toBe(false);
    expect(failing()).toEqual([
      'samples: 3 is not 2',
      'bytes: 48 is not 32',
      'lines drained: 0 is not 1',
      'lines drained bytes: 0 is not 16',
    ]);
  });

  it('keeps the numbers of a producer that was forgotten', async () => {
    const small = hostMaps({ registry: { maxProducers: 1 } });
    map = small.maps.create('m', { maxEntries: 4096 }).map;
    await putHandler(map, undefined, { manual: true });
    map.states.claim('a', 'anonymous');
    store('a', 'one', 'two');
    await map.drain('h', 0, {}, { maxTurns: 1 });
    small.clock.advance(2000);
    map.states.claim('b', 'anonymous');
    store('b', 'three');
    const [first, ...others] = [...map.ledger.lines()].filter(({ acceptedSamples }) => acceptedSamples > 0);
    expect([first!.producer, first!.bufferedSamples, others.map(({ source }) => source)]).toEqual([
      'b',
      1,
      ['forgotten'],
    ]);
    expect(others[0]).toMatchObject({ acceptedSamples: 2, drainedSamples: 1, bufferedSamples: 1 });
    await map.drain('h', 0, {});
    expect(others[0]).toMatchObject({ drainedSamples: 2, bufferedSamples: 0 });
    expect(failing()).toEqual([]);
  });

  it('holds over any mix of producers, reservations and drains', async () => {
    const step = fc.oneof(
      fc.record({ store: fc.nat(2), lengths: fc.array(fc.nat(40), { minLength: 1, maxLength: 4 }) }),
      fc.record({ reserve: fc.nat(2), size: fc.nat(40) }),
      fc.record({ settle: fc.nat(5), submit: fc.boolean() }),
      fc.record({ drain: fc.nat(4) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 2, max: 40 }),
        async (steps, runs) => {
          const own = hostMaps({ registry: { maxLedgerRuns: runs } });
          map = own.maps.create('m', { maxEntries: 4096, ledger: 'hash' }).map;
          await putHandler(map, undefined, { manual: true });
          const holder = { openReservations: 0 };
          const open: { position: bigint; size: number }[] = [];
          for (const next of steps) {
            if ('store' in next) {
              const bytes = next.lengths.reduce((sum, length) => sum + recordSize(length), 0);
              if (bytes <= map.ring.free)
                store(`p${next.store}`, ...next.lengths.map((length) => 'x'.repeat(length)));
            } else if ('reserve' in next) {
              if (recordSize(next.size) > map.ring.free) continue;
              const position = map.intake.reserve(holder, next.size, map.ledger.lineOf(`p${next.reserve}`));
              open.push({ position, size: next.size });
            } else if ('settle' in next) {
              const [chosen] = open.splice(next.settle % Math.max(1, open.length), 1);
              if (chosen === undefined) continue;
              if (next.submit) map.intake.submit(holder, chosen.position, new Uint8Array(chosen.size));
              else map.intake.discard(holder, chosen.position);
            } else {
              await map.drain('h', 0, {}, { maxTurns: next.drain });
            }
            expect(failing()).toEqual([]);
          }
          for (const { position } of open) map.intake.discard(holder, position);
          await map.drain('h', 0, {});
          expect(failing()).toEqual([]);
          for (const { bufferedSamples, hashes } of map.ledger.lines()) {
            expect(bufferedSamples).toBe(0);
            if (hashes.complete) expect(hashes.drained).toBe(hashes.accepted);
          }
        },
      ),
    );
  });
});
