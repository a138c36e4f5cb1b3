// @ts-check
/** `npm run demo`: see `--help`. The table goes to a terminal, the summary is the only thing on standard output besides. */
import { DemoRun } from './demo-run.js';
import { colours, count, plural, progressLine, tableLines } from './live-table.js';
import { HELP, parseOptions, UsageError } from './options.js';
import { Screen } from './screen.js';

const USAGE_EXIT = 2;
const PROGRESS_EVERY_MS = 1_000;
/** Ctrl-C again within this time is the same Ctrl-C: npm passes on what the terminal sent already. */
const SAME_SIGNAL_MS = 1_000;

process.exitCode = await main(process.argv.slice(2));

/**
 * @param {readonly string[]} argv
 * @returns {Promise<number>} the exit code
 */
async function main(argv) {
  /** @type {import('./options.js').DemoOptions} */
  let options;
  try {
    options = parseOptions(argv);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`demo: ${error.message}\nSee: npm run demo -- --help\n`);
    return USAGE_EXIT;
  }
  if (options.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const stop = stopSignal();
  try {
    const run = await DemoRun.start(options);
    const show = process.stdout.isTTY && process.env['TERM'] !== 'dumb' ? table : progress;
    const restore = await show(run, stop, options);
    const summary = await run.finish().finally(restore);
    conclude(summary);
    return summary.ok ? 0 : 1;
  } catch (error) {
    process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
    // Whatever process is left is ended on the way out.
    process.exit(1);
  }
}

/**
 * Redraws in place.
 * @param {DemoRun} run
 * @param {AbortSignal} stop
 * @param {import('./options.js').DemoOptions} options
 * @returns {Promise<() => void>} gives the terminal back, with the last table on it
 */
async function table(run, stop, { seconds }) {
  const screen = new Screen(process.stdout);
  const paint = colours(process.env['NO_COLOR'] === undefined);
  const { notes } = run;
  /** @type {string[]} */
  let lines = [];
  await run.watch(stop, (snapshot) => {
    lines = tableLines(snapshot, { columns: screen.columns, colours: paint, notes, seconds });
    screen.draw(lines);
  });
  screen.draw([
    ...lines.slice(0, -1),
    `  ${paint.yellow('Ending: the producers finish, then the files are read back …')}`,
  ]);
  return () => {
    screen.leave();
    process.stdout.write(`${lines.slice(0, -1).join('\n')}\n`);
  };
}

/**
 * One line a second.
 * @param {DemoRun} run
 * @param {AbortSignal} stop
 */
async function progress(run, stop) {
  for (const note of run.notes) process.stderr.write(`note: ${note}\n`);
  let next = 0;
  await run.watch(stop, (snapshot) => {
    if (next === 0)
      process.stderr.write(`daemon at ${snapshot.url} (docs: /docs), NDJSON in ${snapshot.file.path}\n`);
    if (snapshot.elapsedMs < next) return;
    next = snapshot.elapsedMs + PROGRESS_EVERY_MS;
    process.stderr.write(`${progressLine(snapshot)}\n`);
  });
  return () => undefined;
}

/** Says it in words, then as one line of JSON. @param {import('./demo-run.js').Summary} summary */
function conclude(summary) {
  const paint = colours(process.stderr.isTTY && process.env['NO_COLOR'] === undefined);
  const { accepted, drained, buffered, ndjson_lines: lines, ndjson_files: files } = summary;
  const words = summary.ok
    ? [
        paint.green(
          `✔ ${count(accepted)} samples accepted = ${count(drained)} drained + ${count(buffered)} still in the ring`,
        ),
        paint.green(
          `✔ ${plural(lines, 'line')} read back from ${plural(files, 'NDJSON file')}, each sample once and in order`,
        ),
      ]
    : summary.differences.map((difference) => paint.red(`✘ ${difference}`));
  if (summary.data_dir !== null) words.push(`  kept: ${summary.data_dir}`);
  process.stderr.write(`\n${words.map((line) => `  ${line}`).join('\n')}\n\n`);
  process.stdout.write(`${JSON.stringify(summary)}\n`);
}

/** Aborted by the first Ctrl-C (or SIGTERM, SIGHUP); a later one ends the demo at once. */
function stopSignal() {
  const stop = new AbortController();
  let at = 0;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
    process.on(signal, () => {
      if (stop.signal.aborted && performance.now() - at > SAME_SIGNAL_MS) process.exit(1);
      if (!stop.signal.aborted) at = performance.now();
      stop.abort();
    });
  return stop.signal;
}
