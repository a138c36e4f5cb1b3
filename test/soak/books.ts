/** What became of the samples of a map, counted twice: by the daemon's books, and record by record. */
import type { PlannedMap } from './plan.js';
import type { RestClient } from '../support/rest.js';

export interface MapBooks {
  map: string;
  /** Of its handler: see PlannedMap. */
  kind: string;
  policy: string;
  /** Failed drains by errno. */
  faults: Record<string, number>;
  accepted: number;
  drained: number;
  discarded: number;
  deadLettered: number;
  /** By the books. */
  buffered: number;
  /** Records that the ring really holds. */
  held: number;
  /** What does not add up, in words; empty when all does. */
  wrong: string[];
}

interface Counters {
  accepted_samples: number;
  drained_samples: number;
  discarded_samples: number;
  dead_lettered_samples?: number;
  drain_errors: Record<string, number>;
}

/** Reads the books of a map that nobody is draining or feeding any more. */
export async function booksOf(rest: RestClient, planned: PlannedMap): Promise<MapBooks> {
  const { name: map, kind, policy } = planned;
  const shown = await rest.showMap(map);
  const counters = shown.counters as unknown as Counters;
  const records = await rest.peek(map, 1_000_000);
  const { holds } = await rest.expect(200, 'GET', `/v1/maps/${map}/ledger`);
  const {
    accepted_samples: accepted,
    drained_samples: drained,
    discarded_samples: discarded,
    dead_lettered_samples: deadLettered = 0,
    drain_errors: faults,
  } = counters;
  const buffered = accepted - drained - discarded - deadLettered;
  const heldBytes = records.reduce((sum, { len }) => sum + Math.ceil((len + 8) / 8) * 8, 0);
  const usedBytes = Number(BigInt(shown.producer_pos) - BigInt(shown.consumer_pos));
  const wrong = [
    ...(buffered === records.length
      ? []
      : [`the books say ${buffered} buffered, the ring holds ${records.length}`]),
    ...(heldBytes === usedBytes
      ? []
      : [`records of ${heldBytes} bytes between positions ${usedBytes} apart`]),
    ...(holds === true ? [] : ['the ledger does not hold']),
  ];
  const counts = { accepted, drained, discarded, deadLettered, buffered, held: records.length };
  return { map, kind, policy, faults, ...counts, wrong };
}

/** A row for each kind of handler: what it is, how it failed, and that its samples are all accounted for. */
export function booksTable(books: readonly MapBooks[]): string {
  const head = [
    '',
    'kind',
    'policy',
    'faults',
    'accepted',
    '= drained',
    '+ discarded',
    '+ buffered',
    '+ dead-lettered',
    '',
  ];
  const rows = books.map(
    ({ kind, policy, faults, accepted, drained, discarded, buffered, deadLettered, wrong }, index) => [
      String(index + 1),
      ...[kind, policy, faultsText(faults)],
      ...[accepted, drained, discarded, buffered, deadLettered].map(String),
      wrong.length === 0 ? 'ok' : wrong.join('; '),
    ],
  );
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  const isText = (column: number): boolean => column >= 1 && column <= 3;
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function faultsText(faults: Record<string, number>): string {
  const failed = Object.entries(faults).filter(([, count]) => count > 0);
  return failed.length === 0 ? 'none' : failed.map(([errno, count]) => `${errno} ${count}`).join(', ');
}
