/** Journals of running maps: what producers, drains and probes are refused with. */
import { entry } from './entry.js';

export const durabilityErrors = {
  JOURNAL_FULL: entry({
    errno: 'ENOSPC',
    title: 'the journal of the map has no room on the disk',
    advice:
      'Free disk space. Nothing that was acknowledged is lost, and the map goes on by itself once there is room.',
    retryable: true,
  }),
  JOURNAL_FAILED: entry({
    errno: 'EIO',
    title: 'the journal of the map failed: the map is read-only',
    advice:
      'See the log and the disk, then start the daemon anew: it takes up what the journal holds. Producers keep what is not acknowledged.',
    retryable: true,
  }),
  MAPS_READ_ONLY: entry({
    errno: 'EIO',
    status: 503,
    title: 'the journals of some maps failed',
    advice: 'The detail names the maps: see JOURNAL_FAILED. The other maps go on.',
  }),
};
