import type { ErrnoName } from '../ring/index.js';

/** HTTP status of an errno (design of the REST interface, docs/ERRORS.md). */
export const statusOfErrno: Record<ErrnoName, number> = {
  EINVAL: 400,
  EPROTO: 400,
  EPERM: 403,
  ENOENT: 404,
  ENODATA: 404,
  EBUSY: 409,
  EEXIST: 409,
  ESTALE: 410,
  E2BIG: 413,
  ENOSPC: 429,
  EAGAIN: 429,
  EIO: 500,
  ETIMEDOUT: 504,
  ENOMEM: 507,
};
