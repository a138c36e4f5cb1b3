/** Random scenarios, with sizes, flags and starting positions that lean towards the edges. */
import fc from 'fast-check';
import type { Scenario, Step } from './scenario.js';

const size = (ringSize: number): fc.Arbitrary<number> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.nat(48) },
    { weight: 2, arbitrary: fc.nat(ringSize + 16) },
    { weight: 1, arbitrary: fc.constantFrom(ringSize - 16, ringSize - 8, ringSize - 7, ringSize / 2 - 8) },
  );

const impossibleSize = fc.constantFrom(
  -1,
  1.5,
  NaN,
  Infinity,
  2 ** 30 - 1,
  2 ** 30,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
);

const flags = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(0, 1, 2, 3) },
  { weight: 1, arbitrary: fc.constantFrom(4, 7, -1, 0.5, NaN, 2 ** 31, 2 ** 32 + 1) },
);

const maxTurns = fc.oneof({ weight: 3, arbitrary: fc.constant(131072) }, { weight: 1, arbitrary: fc.nat(6) });

function step(ringSize: number): fc.Arbitrary<Step> {
  const which = fc.nat(1000);
  const call = fc.integer({ min: 1, max: 5 });
  const op = <Name extends Step['op']>(name: Name) => fc.constant(name);
  return fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        op: op('reserve'),
        size: fc.oneof({ weight: 9, arbitrary: size(ringSize) }, impossibleSize),
      }),
    },
    { weight: 3, arbitrary: fc.record({ op: op('fill'), which, splitAt: fc.nat(64) }) },
    { weight: 4, arbitrary: fc.record({ op: op('submit'), which }) },
    { weight: 2, arbitrary: fc.record({ op: op('discard'), which }) },
    { weight: 4, arbitrary: fc.record({ op: op('output'), size: size(ringSize) }) },
    { weight: 1, arbitrary: fc.record({ op: op('outputAllBut'), spare: fc.constantFrom(0, 8, 16) }) },
    {
      weight: 2,
      arbitrary: fc.record({ op: op('outputRun'), sizes: fc.array(fc.nat(200), { maxLength: 12 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record(
        {
          op: op('drain'),
          flags,
          maxTurns,
          stopAt: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, call),
          failure: fc.record({ call, kind: fc.constantFrom('throws' as const, 'answers 2' as const) }),
          output: fc.record({ call, size: fc.nat(64) }),
        },
        { requiredKeys: ['op', 'flags', 'maxTurns', 'stopAt'] },
      ),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: op('batch'),
        flags,
        maxTurns,
        capacity: fc.integer({ min: 1, max: 8 }),
        rounds: fc.array(
          fc.record({
            maxBytes: fc.oneof(fc.constant(2 ** 30), fc.nat(200)),
            release: fc.nat(8),
            outputMeanwhile: fc.integer({ min: -1, max: 40 }),
          }),
          { minLength: 1, maxLength: 4 },
        ),
      }),
    },
  );
}

/** Positions near each power of two at which some representation of a position changes. */
export const BASES = [0n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n];

export const scenarios: fc.Arbitrary<Scenario> = fc.constantFrom(4096, 8192).chain((ringSize) =>
  fc.record({
    size: fc.constant(ringSize),
    mode: fc.constantFrom('managed' as const, 'direct' as const),
    shared: fc.boolean(),
    base: fc.constantFrom(...BASES),
    behind: fc.nat(1024).map((words) => 8 * words),
    steps: fc.array(step(ringSize), { maxLength: 120, size: 'max' }),
  }),
);
