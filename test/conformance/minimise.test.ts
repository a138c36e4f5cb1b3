import { describe, expect, it } from 'vitest';
import { minimise } from './minimise.js';

/** Says that a script differs when it matches, and remembers what it was asked about. */
function differsWhen(matches: (lines: string[]) => boolean) {
  const asked: string[][] = [];
  const findDiffering = async (scripts: string[][]) => {
    asked.push(...scripts);
    const index = scripts.findIndex((script) => matches(script.slice(1)));
    return index < 0 ? undefined : { index, finding: scripts[index]!.join(';') };
  };
  return { asked, findDiffering };
}

const HEADER = 'trace t 4096';

describe('minimise', () => {
  it('leaves only the ops that the difference needs', async () => {
    const noise = Array.from({ length: 30 }, (_, i) => `drain 0 ${i}`);
    const script = [HEADER, ...noise.slice(0, 11), 'prodpos 8', ...noise.slice(11), 'poll', 'poll'];
    const { findDiffering } = differsWhen(
      (lines) => lines.includes('prodpos 8') && lines.indexOf('poll') > lines.indexOf('prodpos 8'),
    );
    const minimal = await minimise(script, 'whole', findDiffering);
    expect(minimal).toEqual({
      script: [HEADER, 'prodpos 8', 'poll'],
      finding: `${HEADER};prodpos 8;poll`,
    });
  });

  it('numbers reservations anew when earlier ones go', async () => {
    const script = [HEADER, 'reserve 1', 'reserve 2', 'reserve 3', 'submit @0', 'discard @2', 'drain 0 -1'];
    const { findDiffering } = differsWhen((lines) => {
      const at = lines.filter((line) => line.startsWith('reserve')).indexOf('reserve 3');
      return at >= 0 && lines.includes(`discard @${at}`);
    });
    const { script: minimal } = await minimise(script, 'whole', findDiffering);
    expect(minimal).toEqual([HEADER, 'reserve 3', 'discard @0']);
  });

  it('never asks about a script that ends a reservation it does not make', async () => {
    const script = [HEADER, 'reserve 1', 'submit @0', 'reserve 2', 'discard @1', 'submit @0', 'poll'];
    const { asked, findDiffering } = differsWhen((lines) => lines.includes('poll'));
    await minimise(script, 'whole', findDiffering);
    for (const lines of asked) {
      const made = lines.filter((line) => line.startsWith('reserve')).length;
      const ended = lines.flatMap((line) => /@(\d+)/.exec(line)?.[1] ?? []).map(Number);
      expect(ended.every((index) => index < made)).toBe(true);
    }
  });

  it('keeps the script when nothing shorter differs', async () => {
    const script = [HEADER, 'prodpos 8', 'drain 0 -1'];
    const { findDiffering } = differsWhen((lines) => lines.length === 2);
    expect(await minimise(script, 'whole', findDiffering)).toEqual({ script, finding: 'whole' });
  });
});
