// @ts-check
/**
 * The life of a producer process: it gets its job as an argument, tells the demo over IPC how far it is, and ends when it
 * is told to, or when the demo is gone.
 */
const REPORT_EVERY_MS = 100;
/** Room for the last outputs to be acknowledged after the demo itself is gone. */
const ORPHAN_MS = 2_000;

/**
 * @typedef {object} Job
 * @property {string} url of the daemon
 * @property {string} map
 * @property {number} everyMs between two readings
 * @property {string} procRoot
 *
 * What a producer counts itself. `stored` counts acknowledged samples only; a plain producer learns at its end what was
 * stored, so until then it has only `sent`.
 * @typedef {object} Progress
 * @property {number} sent
 * @property {number} stored
 * @property {number} enospc times that the ring was full
 * @property {number} waits times that it waited for room
 * @property {number} wakeups WAKEUP frames heard
 * @property {boolean} waiting
 *
 * @typedef {{ type: 'progress' | 'done', progress: Progress } | { type: 'failed', message: string, progress: Progress }} Report
 */

/**
 * Runs `produce` until it returns, which it does once `stop` is aborted and everything is acknowledged.
 * @param {(context: { job: Job, stop: AbortSignal, progress: Progress }) => Promise<void>} produce
 */
export async function runProducer(produce) {
  /** @type {Job} */
  const job = JSON.parse(process.argv[2] ?? '');
  /** @type {Progress} */
  const progress = { sent: 0, stored: 0, enospc: 0, waits: 0, wakeups: 0, waiting: false };
  const stop = new AbortController();
  process.on('message', () => stop.abort());
  process.on('disconnect', () => {
    stop.abort();
    setTimeout(() => process.exit(1), ORPHAN_MS).unref();
  });
  // Ctrl-C reaches every process of the terminal. The demo gets it too and says stop when it is time.
  process.on('SIGINT', () => undefined);

  const timer = setInterval(() => report({ type: 'progress', progress }), REPORT_EVERY_MS);
  try {
    await produce({ job, stop: stop.signal, progress });
    report({ type: 'done', progress });
  } catch (error) {
    report({ type: 'failed', message: error instanceof Error ? error.message : String(error), progress });
    process.exitCode = 1;
  }
  clearInterval(timer);
  process.disconnect?.();
}

/** @param {Report} message */
function report(message) {
  if (process.connected) process.send?.(message);
}
