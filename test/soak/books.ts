/** What became of the samples of a map, counted twice: by the daemon's books, and record by record. */
import type { RestClient } from '../support/rest.js';

export interface MapBooks {
  map: string;
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
}

/** Reads the books of a map that nobody is draining or feeding any more. */
export async function booksOf(rest: RestClient, map: string): Promise<MapBooks> {
  const shown = await rest.showMap(map);
  const counters = shown.counters as unknown as Counters;
  const records = await rest.peek(map, 1_000_000);
  const { holds } = await rest.expect(200, 'GET', `/v1/maps/${map}/ledger`);
  const {
    accepted_samples: accepted,
    drained_samples: drained,
    discarded_samples: discarded,
    dead_lettered_samples: deadLettered = 0,
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
  return { map, accepted, drained, discarded, deadLettered, buffered, held: records.length, wrong };
}

export function booksTable(books: readonly MapBooks[]): string {
  const head = ['map', 'accepted', 'drained', 'discarded', 'dead-lettered', 'buffered', ''];
  const rows = books.map(({ map, accepted, drained, discarded, deadLettered, buffered, wrong }) => [
    map,
    ...[accepted, drained, discarded, deadLettered, buffered].map(String),
    wrong.length === 0 ? 'ok' : wrong.join('; '),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]!.length)));
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
        .join('  '),
    )
    .join('\n');
}
