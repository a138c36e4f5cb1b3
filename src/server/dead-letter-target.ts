import type { LedgerLine } from './ledger/ledger-line.js';
import type { MapIntake } from './map-intake.js';
import type { MapJournal } from './map-journal.js';
import type { ProducerStates } from './producer-states.js';

/** Where a dead letter lies that is being sent back. */
export interface LetterOrigin {
  readonly map: string;
  readonly incarnation: string;
  readonly position: bigint;
}

/** A map that dead letters go into, or come back to. Provided by whoever hosts maps. */
export interface DeadLetterTarget {
  readonly incarnation: string;
  /**
   * Stores a run whole.
   * @param origin of a letter that is sent back: a journalled map keeps, together with the sample, that it has it
   * @throws RingbufdError NOT_ALLOWED_HERE, NEVER_FITS, RING_FULL, JOURNAL_FULL, JOURNAL_FAILED: nothing was stored
   */
  store(run: Uint8Array, origin?: LetterOrigin): void;
  /** Whether a letter was sent back to here before, in the life of this map: so also before a restart. */
  holds(origin: LetterOrigin): boolean;
  /** Resolves once what was stored is at the durability of the map; `undefined` when it is already. */
  settled(whenFull?: 'wait' | 'reject'): Promise<void> | undefined;
}

export interface DeadLetterTargetDeps {
  incarnation: string;
  intake: MapIntake;
  states: ProducerStates;
  /** Whose samples they are. */
  line: LedgerLine;
  journal: MapJournal | undefined;
}

/**
 * Of a replay a journalled map keeps the state of a producer, whose id no client can have and whose owner is the
 * incarnation of the map of dead letters. Letters come in the order of their positions, so that the last one says which
 * have come.
 */
export function deadLetterTarget(deps: DeadLetterTargetDeps): DeadLetterTarget {
  const { incarnation, intake, states, line, journal } = deps;
  return {
    incarnation,
    store(run, origin) {
      intake.storeAtomically(run, line);
      if (origin === undefined || journal === undefined) return;
      const state = states.claimInternal(replayId(origin.map), origin.incarnation);
      // So many ids are remembered that there is no room for this one: a crash may bring the letter twice.
      if (state === undefined) return;
      state.lastSeq = behind(origin.position);
      journal.touch(state);
    },
    holds({ map, incarnation: of, position }) {
      const state = states.get(replayId(map));
      return state !== undefined && state.owner === of && state.lastSeq >= behind(position);
    },
    settled: (whenFull) => journal?.settled(whenFull),
  };
}

function replayId(map: string): string {
  return `~${map}`;
}

/** As the number of an OUTPUT, of which 0 is none. Exact up to 2^53 bytes of dead letters. */
function behind(position: bigint): number {
  return Number(position) + 1;
}
