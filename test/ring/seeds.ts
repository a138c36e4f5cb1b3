/**
 * Kept findings of the property tests. `MODEL_SEEDS` and `HOSTILE_SEEDS` are fast-check seeds that are run every time,
 * before a fresh one. A seed means another scenario once the arbitraries change; `MODEL_EXAMPLES` stay as they are.
 * Whoever sees a property fail adds its seed (fast-check prints it) and its shrunk scenario here.
 */
import type { Scenario } from './scenario.js';

export const MODEL_SEEDS: readonly number[] = [1, 20260728, -1402155034];

export const HOSTILE_SEEDS: readonly number[] = [1, 7, 20260728];

/** Shrunk scenarios in which a ring with one wrong line differed from the model; each names that mistake. */
export const MODEL_EXAMPLES: readonly { name: string; scenario: Scenario }[] = [
  {
    name: 'a position that does not carry into its high half',
    scenario: {
      size: 8192,
      mode: 'managed',
      shared: false,
      base: 2n ** 32n,
      behind: 8,
      steps: [
        { op: 'outputAllBut', spare: 0 },
        { op: 'drain', flags: 0, maxTurns: 131072, stopAt: 0 },
      ],
    },
  },
  {
    name: 'a ring that cannot be filled to its last byte',
    scenario: {
      size: 4096,
      mode: 'managed',
      shared: false,
      base: 0n,
      behind: 0,
      steps: [{ op: 'outputAllBut', spare: 0 }],
    },
  },
  {
    name: 'a run that holds back the discards at the head',
    scenario: {
      size: 8192,
      mode: 'managed',
      shared: false,
      base: 0n,
      behind: 0,
      steps: [
        { op: 'reserve', size: 0 },
        { op: 'discard', which: 0 },
        {
          op: 'batch',
          flags: 0,
          maxTurns: 1,
          capacity: 1,
          rounds: [{ maxBytes: 2 ** 30, release: 0, outputMeanwhile: 0 }],
        },
      ],
    },
  },
  {
    name: 'a wakeup rule that does not count discards',
    scenario: {
      size: 4096,
      mode: 'managed',
      shared: false,
      base: 0n,
      behind: 0,
      steps: [
        { op: 'reserve', size: 0 },
        { op: 'discard', which: 0 },
        { op: 'drain', flags: 0, maxTurns: 1, stopAt: 1 },
      ],
    },
  },
  {
    name: 'samples released in runs that cost no turn',
    scenario: {
      size: 8192,
      mode: 'managed',
      shared: false,
      base: 0n,
      behind: 0,
      steps: [
        { op: 'output', size: 0 },
        {
          op: 'batch',
          flags: 0,
          maxTurns: 1,
          capacity: 1,
          rounds: [
            { maxBytes: 0, release: 1, outputMeanwhile: 0 },
            { maxBytes: 2 ** 30, release: 0, outputMeanwhile: 0 },
          ],
        },
      ],
    },
  },
  {
    name: 'positions compared by their low halves only',
    scenario: {
      size: 8192,
      mode: 'direct',
      shared: false,
      base: 2n ** 53n,
      behind: 8,
      steps: [
        {
          op: 'batch',
          flags: 0,
          maxTurns: 131072,
          capacity: 1,
          rounds: [{ maxBytes: 0, release: 0, outputMeanwhile: 0 }],
        },
        {
          op: 'batch',
          flags: 0,
          maxTurns: 1,
          capacity: 1,
          rounds: [{ maxBytes: 2 ** 30, release: 0, outputMeanwhile: 0 }],
        },
      ],
    },
  },
];
