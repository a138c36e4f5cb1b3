import { constants } from 'node:os';
import { describe, expect, it } from 'vitest';
import { Errno, errnoName } from '../../src/ring/index.js';

describe('the errno table', () => {
  it('has the numbers of asm-generic/errno.h', () => {
    expect(Errno).toEqual({
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
    });
  });

  it.runIf(process.platform === 'linux')('has the numbers of the Linux that runs this test', () => {
    for (const [name, value] of Object.entries(Errno))
      expect([name, constants.errno[name as keyof typeof constants.errno]]).toEqual([name, value]);
  });

  it('finds a name by the number, positive or negative', () => {
    for (const [name, value] of Object.entries(Errno)) {
      expect(errnoName(value)).toBe(name);
      expect(errnoName(-value)).toBe(name);
    }
  });

  it.each([0, 3, 4, 133, 1.5, NaN])('has no name for %d', (value) => {
    expect(errnoName(value)).toBeUndefined();
  });
});
