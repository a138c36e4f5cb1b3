/**
 * The errno table: every name that ringbufd puts on the wire, into problem+json, metrics labels and SDK errors.
 * Numbers are Linux's (asm-generic/errno*.h), so that an ERROR frame reads like the system call it stands for.
 * `ESTALE` and `EPROTO` have no counterpart in the kernel's ring buffer; they name what only a network can cause.
 */
export const Errno = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  E2BIG: 7,
  EAGAIN: 11,
  ENOMEM: 12,
  EBUSY: 16,
  EEXIST: 17,
  EINVAL: 22,
  ENOSPC: 28,
  ENODATA: 61,
  EPROTO: 71,
  ETIMEDOUT: 110,
  ESTALE: 116,
} as const;

export type ErrnoName = keyof typeof Errno;

const names = new Map<number, ErrnoName>(
  Object.entries(Errno).map(([name, value]) => [value, name as ErrnoName]),
);

/** The name of an errno given as a positive or a negative number; `undefined` for a number not in the table. */
export function errnoName(value: number): ErrnoName | undefined {
  return names.get(Math.abs(value));
}
