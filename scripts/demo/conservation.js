// @ts-check
/**
 * The books of one run, from four sources that do not know of each other: what the producers say was acknowledged, what
 * the daemon counted, what is in the files, and what is in the ring.
 *
 * @typedef {object} Books
 * @property {Map<string, number>} acknowledged by producer, counted by the producers
 * @property {{ accepted: number, drained: number, discarded: number }} daemon the map's counters
 * @property {Map<string, number>} inFiles by producer: samples read back from the NDJSON
 * @property {number} lines of the NDJSON, whatever is in them
 * @property {Map<string, number>} inRing by producer: samples that no drain has taken yet
 * @property {number} buffered records in the ring
 */

/**
 * Says, in words, where the books differ.
 * @param {Books} books
 * @returns {string[]} empty when accepted = drained + discarded + buffered, everywhere
 */
export function differences({ acknowledged, daemon, inFiles, lines, inRing, buffered }) {
  const found = [];
  const acknowledgedInAll = sum(acknowledged);
  if (daemon.accepted - daemon.discarded !== acknowledgedInAll)
    found.push(
      `the producers were told that ${acknowledgedInAll} samples are stored, the daemon accepted ${daemon.accepted} (${daemon.discarded} of them discarded)`,
    );
  if (daemon.accepted !== daemon.drained + daemon.discarded + buffered)
    found.push(
      `the daemon accepted ${daemon.accepted}, but drained ${daemon.drained} + discarded ${daemon.discarded} + buffered ${buffered} = ${daemon.drained + daemon.discarded + buffered}`,
    );
  if (lines !== daemon.drained)
    found.push(`the daemon drained ${daemon.drained} samples, the NDJSON has ${lines} lines`);
  for (const name of new Set([...acknowledged.keys(), ...inFiles.keys(), ...inRing.keys()])) {
    const stored = acknowledged.get(name) ?? 0;
    const filed = inFiles.get(name) ?? 0;
    const waiting = inRing.get(name) ?? 0;
    if (stored !== filed + waiting)
      found.push(
        `${name}: ${stored} samples acknowledged, ${filed} in the NDJSON + ${waiting} in the ring = ${filed + waiting}`,
      );
  }
  return found;
}

/** @param {Map<string, number>} counts */
export function sum(counts) {
  return [...counts.values()].reduce((total, count) => total + count, 0);
}
