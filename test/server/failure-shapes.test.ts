/**
 * The failure policies against a model, for each shape of handler, drained by hand and by an auto trigger: what is given up,
 * what is taken, in which order, and that nothing is lost or doubled.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Consumer, Errno, records, SampleRun, type UserRing } from '../../src/ring/index.js';
import { decodeDeadLetter } from '../../src/server/dead-letter-envelope.js';
import type { BatchVerdict, WorkerDrain, WorkerOutcome } from '../../src/server/handlers/handler.js';
import type { HostedMap } from '../../src/server/hosted-map.js';
import type { OnError } from '../../src/server/on-error.js';
import { hostMaps, store, type HostedMaps } from './hosted.js';
import { useWorkerRig } from './handlers/worker-rig.js';

const SHAPES = ['sample', 'batch', 'worker'] as const;
type Shape = (typeof SHAPES)[number];
const MODES = ['manual', 'auto'] as const;

const pauses = { backoff_min_ms: 1, backoff_max_ms: 4 };
const policies: fc.Arbitrary<OnError> = fc.oneof(
  fc.constant<OnError>({ policy: 'stop' }),
  fc.record({ max_attempts: fc.nat(3) }).map((r): OnError => ({ policy: 'retry', ...r, ...pauses })),
  fc
    .record({ max_attempts: fc.integer({ min: 1, max: 3 }) })
    .map((r): OnError => ({ policy: 'dead_letter', map: 'dlq', ...r, ...pauses })),
);
/** How often a handler fails on each sample before it takes it. Most are taken at once; some never. */
const NEVER = 1000;
const faults = fc.array(
  fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 4 }), fc.constant(NEVER)),
  { minLength: 1, maxLength: 24 },
);

/** Fails on samples as often as it is told to, and writes down what it has taken. Samples are numbers of one byte. */
class FaultyCode {
  readonly taken: number[] = [];
  readonly #left: number[];

  constructor(faults: readonly number[]) {
    this.#left = [...faults];
  }

  /** Takes all of these, or fails on the first that it has to fail on and takes none. */
  take(numbers: readonly number[]): void {
    const bad = numbers.find((number) => this.#left[number]! > 0);
    if (bad !== undefined) {
      this.#left[bad]!--;
      throw new Error(`fails on ${bad}`);
    }
    this.taken.push(...numbers);
  }
}

function handlerOf(shape: Shape, code: FaultyCode): object {
  const number = (sample: { copy: () => Uint8Array }): number => sample.copy()[0]!;
  switch (shape) {
    case 'sample':
      return {
        onSample(sample: { copy: () => Uint8Array }) {
          code.take([number(sample)]);
          return 0;
        },
      };
    case 'batch':
      return {
        shape,
        maxRunBytes: 8,
        async onRun(run: SampleRun): Promise<BatchVerdict> {
          const numbers: number[] = [];
          run.forEach((sample) => numbers.push(number(sample)));
          await Promise.resolve();
          code.take(numbers);
          return { consumed: numbers.length, stop: false };
        },
      };
    case 'worker':
      return {
        shape,
        targets: [],
        drain: (ring: UserRing, drain: WorkerDrain) => inThread(ring, drain, code),
      };
  }
}

/** What a thread does: drains the ring with a consumer of its own, one sample after the other. */
async function inThread(ring: UserRing, { maxTurns }: WorkerDrain, code: FaultyCode): Promise<WorkerOutcome> {
  const consumer = new Consumer(ring);
  const run = new SampleRun(ring, 1);
  let error: unknown;
  consumer.begin(0);
  while (error === undefined && consumer.peekRun(run, Infinity, maxTurns) > 0) {
    await Promise.resolve();
    try {
      code.take([run.sampleAt(0).copy()[0]!]);
      consumer.releaseRun(run, 1);
    } catch (thrown) {
      error = thrown;
    }
  }
  consumer.end(0);
  const { drained, discarded, discardedBytes } = consumer.report;
  return {
    ret: error === undefined ? drained : -Errno.EIO,
    drained,
    discarded,
    discardedBytes,
    stopped: false,
    error,
  };
}

/** What is to become of each sample, when enough drains were tried: none is asked about together with others. */
function model(
  onError: OnError,
  faults: readonly number[],
): { taken: number[]; dead: number[]; faulted: boolean } {
  const taken: number[] = [];
  const dead: number[] = [];
  const most = onError.policy === 'stop' || onError.max_attempts === 0 ? Infinity : onError.max_attempts;
  for (const [number, times] of faults.entries()) {
    if (times >= most && onError.policy === 'dead_letter') dead.push(number);
    else if (times >= most) return { taken, dead, faulted: true };
    else if (times === NEVER) return { taken, dead, faulted: false };
    else taken.push(number);
  }
  return { taken, dead, faulted: false };
}

/** Drains until nothing is left, or the handler is faulted, or a bound is reached that only a sample never taken meets. */
async function drainAll(hosted: HostedMaps, map: HostedMap, mode: (typeof MODES)[number]): Promise<void> {
  const { health } = map.handlers.get('h');
  for (let step = 0; step < 400 && map.ring.used > 0 && !health.faulted; step++) {
    if (mode === 'manual') await map.drain('h', 0, {});
    else hosted.clock.runAllSoon();
    await new Promise((resolve) => setImmediate(resolve));
    hosted.clock.advance(5);
  }
}

const ascending = (list: readonly number[]): number[] => [...list].sort((a, b) => a - b);
const numbersIn = (map: HostedMap): number[] => [...records(map.ring)].map((record) => record.payload()[0]!);
const deadIn = (dlq: HostedMap): number[] =>
  [...records(dlq.ring)].map((record) => decodeDeadLetter(record.payload())!.sample[0]!);

function expectConserved(map: HostedMap, count: number, taken: number[], dead: number[]): void {
  const left = numbersIn(map);
  // Each way out keeps the order, and what is left is what comes behind all of it.
  for (const way of [taken, dead, left]) expect(way).toEqual(ascending(way));
  expect(ascending([...taken, ...dead, ...left])).toEqual(Array.from({ length: count }, (_, index) => index));
  expect(map.counters).toMatchObject({
    acceptedSamples: count,
    drainedSamples: taken.length,
    deadLetteredSamples: dead.length,
    bufferedSamples: left.length,
    discardedSamples: 0,
  });
}

describe.each(SHAPES)('a handler of the shape "%s" that fails', (shape) => {
  it.each(MODES)('does what its policy says, in order, and loses nothing (%s drains)', async (mode) => {
    await fc.assert(
      fc.asyncProperty(policies, faults, async (onError, times) => {
        const hosted = hostMaps({ scheduler: { backoffMinMs: 1, backoffMaxMs: 4 } });
        const { map } = hosted.maps.create('m', { maxEntries: 4096 });
        const dlq = hosted.maps.create('dlq', { maxEntries: 65_536 }).map;
        const trigger =
          mode === 'manual'
            ? ({ mode } as const)
            : ({ mode, flags: [], min_bytes: 1, max_delay_ms: 0 } as const);
        const { registered } = await map.putHandler('h', { kind: 'count', config: {}, trigger, onError });
        const code = new FaultyCode(times);
        Object.assign(registered.handler, handlerOf(shape, code));
        store(map, ...times.map((_, number) => Uint8Array.of(number)));
        await drainAll(hosted, map, mode);
        const dead = deadIn(dlq);
        expectConserved(map, times.length, code.taken, dead);
        const expected = model(onError, times);
        if (shape !== 'batch') {
          expect({ taken: code.taken, dead, faulted: registered.health.faulted }).toEqual(expected);
          return;
        }
        // Of a run nobody can tell which sample failed: who is never at fault is never given up, who always is, is.
        for (const number of dead) expect(times[number]).toBeGreaterThan(0);
        if (onError.policy === 'dead_letter') {
          expect(dead).toEqual(
            expect.arrayContaining(times.flatMap((f, number) => (f === NEVER ? [number] : []))),
          );
          expect(map.ring.used).toBe(0);
        } else {
          expect(dead).toEqual([]);
        }
        if (onError.policy === 'stop') expect(registered.health.faulted).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a handler in a real thread that fails', () => {
  const rig = useWorkerRig();

  it('does what its policy says, in order, and loses nothing', async () => {
    // A wrong answer leaves the thread, and with it what the code remembers.
    const file = rig.module(`
      const failed = new Map();
      export default (sample, ctx) => {
        const times = failed.get(ctx.position) ?? 0;
        if (times >= sample[1]) return 0;
        failed.set(ctx.position, times + 1);
        return 2;
      };
    `);
    await fc.assert(
      fc.asyncProperty(policies, faults, async (onError, wanted) => {
        const times = wanted.map((f) => Math.min(f, 255));
        const map = rig.newMap();
        const dlq = rig.newMap();
        const policy = onError.policy === 'dead_letter' ? { ...onError, map: dlq.name } : onError;
        const { registered } = await map.putHandler('h', {
          kind: 'module',
          config: { file },
          trigger: { mode: 'manual' },
          onError: policy,
        });
        store(map, ...times.map((f, number) => Uint8Array.of(number, f)));
        for (let drains = 0; drains < 120 && map.ring.used > 0 && !registered.health.faulted; drains++)
          await map.drain('h', 0, {});
        const dead = deadIn(dlq);
        const expected = model(onError, wanted);
        const left = numbersIn(map);
        const taken = Array.from({ length: times.length }, (_, n) => n).filter(
          (n) => !left.includes(n) && !dead.includes(n),
        );
        expect({ taken, dead, faulted: registered.health.faulted }).toEqual(expected);
        expectConserved(map, times.length, taken, dead);
        // Conserved for the rig, too, which knows of no dead letters.
        await rig.maps.delete(map.name);
      }),
      {
        numRuns: 6,
        examples: [
          [{ policy: 'dead_letter', map: 'dlq', max_attempts: 2, ...pauses }, [0, 1, 2, 3, 0, NEVER, 0]],
          [{ policy: 'retry', max_attempts: 2, ...pauses }, [1, 0, 2, 0]],
          [{ policy: 'stop' }, [4, 0, NEVER, 0]],
        ],
      },
    );
  });
});
