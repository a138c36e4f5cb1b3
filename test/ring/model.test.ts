import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { scenarios } from './scenario-arbitraries.js';
import { corners, resetCorners, runScenario } from './scenario.js';
import { MODEL_EXAMPLES, MODEL_SEEDS } from './seeds.js';

describe('the ring and a plain array of records agree after every step', () => {
  const property = fc.property(scenarios, runScenario);

  beforeEach(resetCorners);

  it.each(MODEL_EXAMPLES)('in the kept scenario "$name"', ({ scenario }) => runScenario(scenario));

  it.each(MODEL_SEEDS)('in 150 random scenarios of seed %i, which go into every corner', (seed) => {
    fc.assert(property, { seed, numRuns: 150 });
    const missed = Object.entries(corners).filter(([, times]) => times === 0);
    expect(missed).toEqual([]);
  });

  it('in 150 scenarios of a fresh seed', () => {
    fc.assert(property, { numRuns: 150 });
  });
});
