import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { connect, RingbufError, type OutputReceipt } from '../../src/client/index.js';
import { Op } from '../../src/wire/index.js';
import { FakeDaemon, type Fate } from './fake-daemon.js';

interface Call {
  sizes: number[];
  atomic: boolean;
  whenFull: 'wait' | 'fail';
  /** The daemon refuses frames that hold its first sample. */
  bad: boolean;
  abortAfterMs: number | undefined;
  /** Outputs are made in one tick unless told to pause. */
  pause: boolean;
}
interface Scenario {
  calls: Call[];
  /** One for each frame that comes, over and over. */
  fates: Fate[];
  drains: { count: number; how: 'wake' | 'no-wakeup' | 'force' }[];
  maxFrameBytes: number;
  maxUnackedBytes: number;
}

const callOf = fc.record<Call>({
  sizes: fc.array(fc.integer({ min: 8, max: 1000 }), { minLength: 1, maxLength: 8 }),
  atomic: fc.constantFrom(false, false, false, true),
  whenFull: fc.constantFrom('wait', 'fail'),
  bad: fc.constantFrom(false, false, false, false, false, true),
  abortAfterMs: fc.constantFrom(undefined, undefined, undefined, undefined, 0, 3),
  pause: fc.boolean(),
});
const scenarioOf = fc.record<Scenario>({
  calls: fc.array(callOf, { minLength: 1, maxLength: 25 }),
  fates: fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constant<Fate>('go') },
      { weight: 1, arbitrary: fc.constantFrom<Fate>('cut-before', 'cut-after') },
    ),
    { minLength: 10, maxLength: 40 },
  ),
  drains: fc.array(
    fc.record({
      count: fc.integer({ min: 0, max: 8 }),
      how: fc.constantFrom('wake' as const, 'wake' as const, 'no-wakeup' as const, 'force' as const),
    }),
    { minLength: 1, maxLength: 20 },
  ),
  maxFrameBytes: fc.constantFrom(1_200, 5_000, 8_192),
  maxUnackedBytes: fc.constantFrom(0, 700, 5_000, 4_194_304),
});

type Outcome = OutputReceipt | { reason: unknown };

/** Plays a scenario to its end; returns what was stored, and the calls with their samples and outcomes. */
async function play(
  scenario: Scenario,
  producerId: string | undefined,
): Promise<{ stored: string[]; calls: { samples: string[]; outcome: Outcome }[] }> {
  const daemon = await FakeDaemon.start({ ringSize: 8192, maxFrameBytes: scenario.maxFrameBytes });
  let frames = 0;
  let cuts = 0;
  daemon.fate = () => {
    const fate = scenario.fates[frames++ % scenario.fates.length]!;
    // A scenario that cuts every frame would never end.
    return fate === 'go' || ++cuts > 40 ? 'go' : fate;
  };
  daemon.refuseOutput = (frame) =>
    new TextDecoder().decode(frame.run.subarray(8, 11)) === 'bad' ? 'EINVAL' : undefined;
  const producer = await connect({
    url: daemon.url,
    map: 'm',
    ...(producerId === undefined ? {} : { producer: producerId }),
    reconnect: { minDelayMs: 0, maxDelayMs: 0 },
    maxUnackedBytes: scenario.maxUnackedBytes,
    fallbackQueryMs: 3,
  });
  const strange: RingbufError[] = [];
  producer.on('error', (error) => strange.push(error));

  let turn = 0;
  const drainer = setInterval(() => {
    const { count, how } = scenario.drains[turn++ % scenario.drains.length]!;
    daemon.drain(turn % 50 === 0 ? Infinity : count, how);
  }, 1);
  try {
    const running: Promise<{ samples: string[]; outcome: Outcome }>[] = [];
    for (const [number, call] of scenario.calls.entries()) {
      const samples = call.sizes.map((size, i) =>
        `${call.bad && i === 0 ? 'bad' : ''}${number}.${i} `.padEnd(size, '.'),
      );
      const controller = new AbortController();
      if (call.abortAfterMs !== undefined) setTimeout(() => controller.abort(), call.abortAfterMs);
      const { atomic, whenFull } = call;
      const done = producer.output(samples, { atomic, whenFull, signal: controller.signal });
      running.push(
        done.then(
          (outcome) => ({ samples, outcome }),
          (reason: unknown) => ({ samples, outcome: { reason } }),
        ),
      );
      if (call.pause) await new Promise((resolve) => setImmediate(resolve));
    }
    const calls = await Promise.all(running);
    await producer.close();
    expect(strange).toEqual([]);
    return { stored: daemon.everything, calls };
  } finally {
    clearInterval(drainer);
    await producer.close({ timeoutMs: 0 });
    await daemon.stop();
  }
}

/** Takes from `stored` what each call put there, in order, and compares it with what the call was told. */
function check(
  stored: string[],
  calls: { samples: string[]; outcome: Outcome }[],
  mayBeUnknown: boolean,
): void {
  let at = 0;
  for (const { samples, outcome } of calls) {
    let count = 0;
    while (count < samples.length && stored[at] === samples[count]) {
      count++;
      at++;
    }
    if ('accepted' in outcome) expect([count, outcome.accepted]).toEqual([samples.length, samples.length]);
    else if (outcome.reason instanceof RingbufError) {
      const { reason } = outcome;
      expect(['ENOSPC', 'EINVAL', 'E2BIG', ...(mayBeUnknown ? ['EIO'] : [])]).toContain(reason.errno);
      if (reason.outcomeUnknown) expect(count).toBeGreaterThanOrEqual(reason.accepted);
      else expect(count).toBe(reason.accepted);
    } else expect(outcome.reason).toMatchObject({ name: 'AbortError' });
  }
  expect(stored.slice(at)).toEqual([]);
}

describe('outputs against a daemon that is full, refuses and breaks off at any frame', () => {
  it('of a producer with an id: nothing lost, nothing doubled, order kept, and every outcome told exactly', async () => {
    await fc.assert(
      fc.asyncProperty(scenarioOf, async (scenario) => {
        const { stored, calls } = await play(scenario, 'p');
        check(stored, calls, false);
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });

  it('of an anonymous producer: nothing doubled, order kept, and what is unknown is called unknown', async () => {
    await fc.assert(
      fc.asyncProperty(scenarioOf, async (scenario) => {
        const { stored, calls } = await play(scenario, undefined);
        check(stored, calls, true);
      }),
      { numRuns: 30, endOnFailure: true },
    );
  });

  it('of a producer with an id, with every single frame cut once, before and after it is stored', async () => {
    for (let cutAt = 0; cutAt < 24; cutAt++) {
      const daemon = await FakeDaemon.start({ ringSize: 4096, maxFrameBytes: 1024 });
      let outputs = 0;
      daemon.fate = (frame) => {
        if (frame.op !== Op.OUTPUT || outputs++ !== cutAt >> 1) return 'go';
        return (cutAt & 1) === 0 ? 'cut-before' : 'cut-after';
      };
      const producer = await connect({
        url: daemon.url,
        map: 'm',
        producer: 'p',
        reconnect: { minDelayMs: 0 },
        fallbackQueryMs: 2,
      });
      const samples = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(200, '.'));
      const drainer = setInterval(() => daemon.drain(3), 1);
      const done = [0, 10, 20, 30].map((from) => producer.output(samples.slice(from, from + 10)));
      await Promise.all(done);
      clearInterval(drainer);
      expect(daemon.everything).toEqual(samples);
      await producer.close();
      await daemon.stop();
    }
  });
});
