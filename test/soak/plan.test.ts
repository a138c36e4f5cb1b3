import { describe, expect, it } from 'vitest';
import { handlerKinds } from '../../src/server/handlers/index.js';
import { booksTable } from './books.js';
import { plannedMaps } from './plan.js';

const maps = plannedMaps('http://127.0.0.1:1/');
const kindOf = (handler: Record<string, unknown>): string => handler.kind as string;

describe('the soak', () => {
  it('has at least ten kinds of handler, each with a name of its own, on maps that are fed', () => {
    const fed = maps.filter(({ pauseMs }) => pauseMs !== undefined);
    expect(new Set(fed.map(({ kind }) => kind)).size).toBe(fed.length);
    expect(fed.length).toBeGreaterThanOrEqual(10);
  });

  it('has every kind that there is, under the name that it has', () => {
    const used = new Set(maps.map(({ handler }) => kindOf(handler)));
    expect([...used].sort()).toEqual(handlerKinds.map(({ kind }) => kind).sort());
    for (const { kind, handler } of maps) expect(kind.startsWith(kindOf(handler))).toBe(true);
  });

  it('has every policy, and says which handler has which', () => {
    for (const { policy, handler } of maps)
      expect((handler.on_error as { policy: string } | undefined)?.policy ?? 'stop').toBe(policy);
    expect(new Set(maps.map(({ policy }) => policy))).toEqual(new Set(['stop', 'retry', 'dead_letter']));
  });

  it('shows a row for each: kind, policy, faults, and what became of the samples', () => {
    const counts = { accepted: 10, drained: 5, discarded: 2, buffered: 2, deadLettered: 1, held: 2 };
    const book = { map: 'm', kind: 'wasm', policy: 'dead_letter', faults: { EIO: 3, EBUSY: 0 }, ...counts };
    expect(booksTable([{ ...book, wrong: [] }])).toBe(
      [
        '   kind  policy       faults  accepted  = drained  + discarded  + buffered  + dead-lettered',
        '1  wasm  dead_letter  EIO 3         10          5            2           2                1  ok',
      ].join('\n'),
    );
  });
});
