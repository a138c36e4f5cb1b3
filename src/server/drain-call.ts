/** What a drain of a map is asked for, and what it answers. */
import type { DrainOutcome } from './drain-runner.js';
import type { Failure } from './handler-health.js';
import type { TurnBudget } from './turn-budget.js';

/** A sample that a drain has put into a dead-letter map. */
export interface BuriedSample extends Failure {
  /** Where its record started. */
  position: bigint;
  /** The map that has it now. */
  map: string;
  attempts: number;
}

export interface DrainResult extends DrainOutcome {
  /** Number of the drain on this map, 1, 2, 3…; 0 when it was refused before it began. */
  number: number;
  producerPos: bigint;
  consumerPos: bigint;
  /** Resolves when every WAKEUP of this drain is queued; `undefined` when they are already. */
  wakeupsQueued: Promise<void> | undefined;
  /** At most one: the drain ends behind it. */
  deadLetters: readonly BuriedSample[];
}

/** What bounds a drain more than the kernel does. */
export interface DrainBounds {
  /** Bound on loop turns; that of the turn if absent. */
  maxTurns?: number | undefined;
  /** The turn of an auto trigger. */
  turn?: TurnBudget | undefined;
}

/** The call that a drain answers. */
export interface DrainCall {
  flags: number;
  /** Monotonic ms. */
  started: number;
  turn: TurnBudget | undefined;
}
