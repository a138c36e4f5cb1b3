import { closeSync, existsSync, openSync, rmSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { CliError, type CliIo } from '../cli-io.js';
import { htmlReport } from '../load/html-report.js';
import { addLoadOptions, loadPlanOf } from '../load/load-options.js';
import type { LoadResult } from '../load/load-result.js';
import { ProgressLine } from '../load/progress-line.js';
import { RestSender } from '../load/rest-sender.js';
import { runLoad } from '../load/run-load.js';
import { textReport } from '../load/text-report.js';
import { WebSocketSender } from '../load/websocket-sender.js';

/** `ringbufd load`: loads a daemon and proves that nothing of it was lost. */
export function addLoadCommand(program: Command, io: CliIo): void {
  const command = program
    .command('load')
    .description(
      'Load a daemon, and prove that what it acknowledged was drained. Ends with 0 when that is PROVEN, else with 1.',
    );
  addLoadOptions(command).action(async () => {
    const { plan, output } = loadPlanOf(command);
    if (output.report !== undefined) checkReport(output.report);
    const line = io.progress && new ProgressLine(io.progress, io.columns ?? 100, plan.durationMs);
    const interrupt = new AbortController();
    const unlisten = io.onInterrupt?.(() => interrupt.abort());
    let result: LoadResult;
    try {
      result = await runLoad({
        plan,
        openSender: (context) => (plan.rest ? RestSender.open(context) : WebSocketSender.open(context)),
        signal: interrupt.signal,
        progress: (point, books) => line?.show(point, books),
      });
    } finally {
      unlisten?.();
      line?.clear();
    }
    io.stdout(output.json ? `${JSON.stringify(result, null, 2)}\n` : textReport(result));
    if (output.report !== undefined) writeReport(output.report, result);
    if (!result.proof.isProven)
      throw new CliError(
        `NOT PROVEN: ${result.proof.checks
          .filter(({ isTrue }) => !isTrue)
          .map(({ what, figures }) => `not ${what} (${figures})`)
          .join('; ')}`,
        plan.rest && result.samples.acknowledged > 0
          ? 'If somebody else sent samples to this map over REST during the run, repeat it on a map of its own: --map NAME.'
          : undefined,
      );
  });
}

/** Finds out before the run whether its report can be written. Leaves what is there as it is. */
function checkReport(file: string): void {
  try {
    const isNew = !existsSync(file);
    closeSync(openSync(file, 'a'));
    if (isNew) rmSync(file);
  } catch (error) {
    throw new CliError(`--report: ${(error as Error).message}`, 'Nothing was sent.', 2);
  }
}

function writeReport(file: string, result: LoadResult): void {
  try {
    writeFileSync(file, htmlReport(result));
  } catch (error) {
    throw new CliError(`--report: ${(error as Error).message}`);
  }
}
