/** Maps: creating them, finding them, changing them. */
import { entry } from './entry.js';

export const mapErrors = {
  NO_MAP: entry({
    errno: 'ENOENT',
    title: 'no such map',
    advice: 'Create it with PUT /v1/maps/{map}, or list the maps with GET /v1/maps.',
  }),
  MAP_EXISTS: entry({
    errno: 'EEXIST',
    title: 'the map exists with other values',
    advice: 'A map cannot be changed in place: delete it first, or use its values.',
  }),
  BAD_MAP_SIZE: entry({
    errno: 'EINVAL',
    title: 'a ring cannot be created with these attributes',
    advice:
      'In bytes, max_entries is a power of two and a multiple of 4096; key_size and value_size are 0, map_flags 0 or 4.',
  }),
  MAP_TOO_BIG: entry({
    errno: 'E2BIG',
    title: 'the ring is too large',
    advice: 'One ring holds at most 1 GiB (1073741824).',
  }),
  DURABILITY: entry({
    errno: 'EINVAL',
    title: 'this durability is not available',
    advice: 'A direct map is "memory" always; "written" and "synced" are for managed maps.',
  }),
  REGISTRY_DAMAGED: entry({
    errno: 'EIO',
    title: 'the registry of maps and handlers cannot be read',
    advice:
      'The daemon does not start, so that nothing is lost. Mend the file, or move it away to begin without what it keeps.',
  }),
  REGISTRY_NOT_WRITTEN: entry({
    errno: 'EIO',
    title: 'the registry of maps and handlers could not be written',
    advice:
      'What was asked for is done and would be gone after a restart. Give data_dir space and write permission, then send the same again.',
    retryable: true,
  }),
  LIMIT_MAPS: entry({
    errno: 'ENOMEM',
    title: 'limits.max_maps is reached',
    advice: 'Delete a map, or raise the limit.',
  }),
  LIMIT_RING_BYTES: entry({
    errno: 'ENOMEM',
    title: 'limits.max_total_ring_bytes is reached',
    advice: 'Delete a map, choose a smaller one, or raise the limit.',
  }),
  MAP_BUSY: entry({
    errno: 'EBUSY',
    title: 'a drain of this map is under way',
    advice: 'Try again when the drain has ended.',
    retryable: true,
  }),
};
