import { entry } from './entry.js';

/** Refusals of the journals and of the data directory. */
export const journalErrors = {
  JOURNAL_SIZE: entry({
    errno: 'EEXIST',
    title: 'the journal of this map has another size',
    advice:
      'Use the size that the journal has, or change it with the daemon stopped: ringbufd migrate DIR MAP --max-entries N.',
  }),
  JOURNAL_DAMAGED: entry({
    errno: 'EIO',
    title: 'the journal of this map cannot be used',
    advice:
      'Look at it with ringbufd inspect FILE. Nothing was changed in it; move it away to start the map empty.',
  }),
  JOURNAL_SPACE: entry({
    errno: 'ENOSPC',
    status: 507,
    title: 'the disk has no room for the journal of this map',
    advice:
      'Free disk space. A journal takes its whole size when its map is created, and what is damaged in it is copied aside before it is given up.',
    retryable: true,
  }),
  DATA_DIR_UNUSABLE: entry({
    errno: 'EIO',
    title: 'the data directory cannot be used',
    advice:
      'Give data_dir a folder that the user of the daemon may write into. The detail says what the system answered.',
  }),
  DATA_DIR_LOCKED: entry({
    errno: 'EBUSY',
    title: 'another daemon uses this data directory',
    advice: 'Stop it, or give each daemon a data_dir of its own.',
  }),
};
