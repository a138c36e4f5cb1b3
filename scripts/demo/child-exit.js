// @ts-check
/**
 * How a child process ended.
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null }} Ended
 */

/**
 * Waits for the end of a child process, at most `timeoutMs`; then it is killed, by its own pid.
 * @param {import('node:child_process').ChildProcess} child
 * @param {Promise<Ended>} ended
 * @param {number} timeoutMs
 */
export async function endedWithin(child, ended, timeoutMs) {
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  const how = await ended;
  clearTimeout(timer);
  return how;
}

/**
 * Resolves when the process is gone, however that came about; also when it could not be started at all.
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<Ended>}
 */
export function endOf(child) {
  return new Promise((resolve) => {
    child.on('exit', (code, signal) => resolve({ code, signal }));
    child.on('error', () => {
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
  });
}
