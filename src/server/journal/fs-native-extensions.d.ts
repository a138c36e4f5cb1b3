declare module 'fs-native-extensions' {
  /**
   * Locks an open file (fcntl F_OFD_SETLK on Linux), exclusively by default.
   * @returns whether the lock was granted
   */
  export function tryLock(fd: number, options?: { shared?: boolean }): boolean;
}
