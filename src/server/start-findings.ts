import type { Logger } from 'pino';
import type { JournalFinding, Quarantine } from './journal/journal.js';
import type { MapCounters } from './map-counters.js';

/** Logs and counts what the start found wrong with the journal of a map: whoever runs the daemon has to hear of it. */
export function noteFindings(
  map: string,
  found: { findings: readonly JournalFinding[]; quarantined: readonly Quarantine[] },
  counters: MapCounters,
  logger: Logger,
): void {
  for (const { kind, message, file } of found.findings)
    if (kind === 'header_repaired') {
      counters.journalHeadersRepaired++;
      logger.warn({ map }, `the journal was damaged: ${message}`);
    } else {
      counters.journalFilesSetAside++;
      logger.error({ map, file }, `the journal could not be used: ${message}`);
    }
  const [first] = found.quarantined;
  if (first === undefined) return;
  // One line, however many there are.
  const bytes = found.quarantined.reduce((sum, stretch) => sum + stretch.bytes, 0);
  const stretches = found.quarantined.length;
  logger.error({ map, stretches, bytes, first: first.file }, `records were quarantined: ${first.reason}`);
}
