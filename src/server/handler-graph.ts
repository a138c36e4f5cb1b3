/** The graph of maps whose handlers put samples into other maps: emitted ones, and dead letters. It has no cycles. */
import { RingbufdError } from './errors.js';

/** Names of the maps that the handlers of a map put samples into. */
export type EdgesOf = (map: string) => Iterable<string>;

/**
 * @param from the map that a handler is registered on
 * @param targets the maps that this handler puts samples into; they need not exist
 * @throws RingbufdError HANDLER_CYCLE when samples could come back to `from`, its detail naming the way
 */
export function refuseCycle(from: string, targets: readonly string[], edgesOf: EdgesOf): void {
  const cycle = pathBack(from, targets, edgesOf);
  if (cycle === undefined) return;
  throw new RingbufdError(
    'HANDLER_CYCLE',
    `samples would go round: ${cycle.map((map) => `"${map}"`).join(' → ')}`,
  );
}

function pathBack(from: string, targets: Iterable<string>, edgesOf: EdgesOf): string[] | undefined {
  const seen = new Set<string>();
  const visit = (maps: Iterable<string>, path: readonly string[]): string[] | undefined => {
    for (const map of maps) {
      if (map === from) return [...path, map];
      if (seen.has(map)) continue;
      seen.add(map);
      const found = visit(edgesOf(map), [...path, map]);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(targets, [from]);
}
