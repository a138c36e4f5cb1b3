#!/usr/bin/env node
/** The process: command line, logger, signals. Nothing else listens or exits. */
import { setFlagsFromString } from 'node:v8';
import closeWithGrace from 'close-with-grace';
import { destination, pino, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { buildApp, type App } from './app.js';
import { CliError, explainListenError, runCli } from './cli/index.js';
import { ConfigError, formatProblem, type Config, type ConfigProblem } from './server/config.js';
import { checkDeclaredHandlers } from './server/declared-maps.js';
import { RingbufdError } from './server/errors.js';
import { VERSION } from './version.js';

/** Time beyond `shutdown_grace_ms` after which a shutdown that hangs is cut off, in ms. */
const SHUTDOWN_MARGIN_MS = 5000;

/**
 * V8 counts the buffers of frames towards its limit for old objects, and after a minute of little to do that limit is hardly
 * above what lives: the next burst of 64 KiB frames then sets off a full collection every few milliseconds, which takes
 * three quarters of the throughput. Five times what lives leaves room; memory in use stays the same.
 */
const HEAP_GROWTH = '--heap-growing-percent=400';

const STDERR = 2;

function createLogger({ level, format }: Config['log']): Logger {
  const forPeople = format === 'pretty' || (format === 'auto' && process.stderr.isTTY);
  // Synchronous, so that the last lines before an exit are not lost.
  const stream = forPeople
    ? pretty({ destination: STDERR, sync: true, colorize: process.stderr.isTTY, ignore: 'hostname' })
    : destination({ dest: STDERR, sync: true });
  return pino({ name: 'ringbufd', level }, stream);
}

async function serve(config: Config, warnings: readonly ConfigProblem[]): Promise<void> {
  setFlagsFromString(HEAP_GROWTH);
  const logger = createLogger(config.log);
  for (const warning of warnings) logger.warn(formatProblem(warning));
  // Node would print warnings as plain text between the lines of JSON.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => logger.warn({ err: warning }, warning.message));

  // All that the declared handlers have to say at once, as check-config shows it.
  const problems = await checkDeclaredHandlers(config);
  if (problems.length > 0) throw new ConfigError(problems);

  let app: App | undefined;
  const grace = closeWithGrace(
    {
      delay: config.shutdown_grace_ms + SHUTDOWN_MARGIN_MS,
      logger: { error: (message: unknown) => logger.error(message) },
      // An event loop that runs empty is not a reason to hide the exit code of a failed start.
      skip: ['beforeExit'],
    },
    async ({ err, signal }) => {
      if (err) logger.fatal({ err }, 'uncaught error, shutting down');
      else logger.info({ signal }, 'shutting down');
      await app?.close({ graceMs: config.shutdown_grace_ms });
      logger.info('closed');
    },
  );

  try {
    app = await buildApp(config, { logger });
    const { url } = await app.listen();
    const ready = { ready: true, url, pid: process.pid, version: VERSION, maps: app.daemon.maps.size };
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  } catch (error) {
    grace.uninstall();
    // The first error is the one to tell; what fails while cleaning up after it is not.
    await app?.close({ graceMs: 0 }).catch(() => undefined);
    const explained = explainListenError(error, config.listen);
    if (explained) throw explained;
    // What the daemon itself refuses explains itself; anything else needs its stack.
    if (error instanceof RingbufdError)
      throw new CliError(`the daemon could not start: ${error.title} (${error.detail})`, error.advice);
    logger.fatal({ err: error }, 'the daemon could not start');
    throw new CliError(
      `the daemon could not start: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

// Whoever read the ready line may close the pipe.
process.stdout.on('error', () => undefined);

try {
  const code = await runCli(process.argv.slice(2), {
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    columns: process.stdout.columns,
    progress: process.stderr.isTTY ? (text) => process.stderr.write(text) : undefined,
    onInterrupt: (run) => {
      process.once('SIGINT', run);
      process.once('SIGTERM', run);
      return () => {
        process.off('SIGINT', run);
        process.off('SIGTERM', run);
      };
    },
    serve,
    checkHandlers: checkDeclaredHandlers,
  });
  // With code 0 the process ends when nothing is left to do: at once, or when the daemon is closed.
  if (code !== 0) process.exit(code);
} catch (error) {
  process.stderr.write(
    `ringbufd: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
}
