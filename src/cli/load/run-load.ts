import { RingbufError } from '../../client/index.js';
import { CliError } from '../cli-io.js';
import type { LedgerAnswer } from '../verify/ledger-answer.js';
import { DaemonRest, explainRestError, type MapView } from './daemon-rest.js';
import type { FaultMark } from './faults.js';
import { LoadBooks } from './load-books.js';
import type { LoadPlan } from './load-plan.js';
import { loadResult, type LoadResult } from './load-result.js';
import { bufferedOf, prove, type Claim } from './proof.js';
import { prepareTarget, removeTarget, type TargetMap } from './target-map.js';
import { Timeline, type TimelinePoint } from './timeline.js';

/** One way to send samples: over WebSockets, or over REST. */
export interface Sender {
  /** Sends until the plan's time is over or the signal says so; resolves when everything is answered for or given up. */
  send(signal: AbortSignal): Promise<void>;
  /** What was done to the run meanwhile. */
  readonly marks: readonly FaultMark[];
  /** What was acknowledged, to be found in the ledger of the map. */
  claims(): Claim[];
  close(): Promise<void>;
}

export interface SenderContext {
  readonly plan: LoadPlan;
  readonly rest: DaemonRest;
  readonly books: LoadBooks;
  readonly target: TargetMap;
  readonly elapsedMs: () => number;
}

export interface LoadRunOptions {
  readonly plan: LoadPlan;
  readonly openSender: (context: SenderContext) => Promise<Sender>;
  /** Ends the run early; what was sent is still answered for, compared and reported. */
  readonly signal: AbortSignal;
  readonly progress: (point: TimelinePoint, books: LoadBooks) => void;
}

/**
 * One run: prepares the map, sends, waits until all of it is drained, compares the books, cleans up.
 * @throws CliError when the run could not take place
 */
export async function runLoad(options: LoadRunOptions): Promise<LoadResult> {
  const { plan } = options;
  const rest = new DaemonRest(plan.url, plan.token);
  try {
    const target = await prepareTarget(rest, plan);
    try {
      return await runOn(target, rest, options);
    } finally {
      // The result is what counts; a map that stays behind is seen at the next run.
      await removeTarget(rest, plan, target).catch(() => undefined);
    }
  } catch (error) {
    if (error instanceof RingbufError)
      throw new CliError(`cannot connect a producer to ${plan.url}: ${error.message}`);
    throw explainRestError(error, plan.url);
  }
}

async function runOn(target: TargetMap, rest: DaemonRest, options: LoadRunOptions): Promise<LoadResult> {
  const { plan, signal } = options;
  const { before } = target;
  if (plan.stallMs !== undefined && !target.isOwnHandler)
    throw new CliError(
      `--stall: the map ${plan.map} is drained by its own handler ${target.handler}, which is left alone`,
      'Choose a map without a handler that drains by itself, or let one be created.',
    );
  const books = new LoadBooks();
  const startedAt = new Date();
  const timeline = new Timeline(
    { rest, map: plan.map, books, durationMs: plan.durationMs },
    before,
    (point) => options.progress(point, books),
  );
  const sender = await options.openSender({
    plan,
    rest,
    books,
    target,
    elapsedMs: () => timeline.elapsedMs(),
  });
  const cores = await CoreMeter.start(rest);
  let durationMs: number;
  let ledgerAfter: LedgerAnswer | undefined;
  let after: MapView | undefined;
  try {
    timeline.start();
    const sentFromMs = timeline.elapsedMs();
    await sender.send(signal);
    durationMs = timeline.elapsedMs() - sentFromMs;
    ledgerAfter = await untilDrained(rest, plan, sender.claims());
    after = await rest.showMap(plan.map).catch(() => undefined);
    await timeline.stop();
  } finally {
    await sender.close();
  }
  return loadResult({
    plan,
    books,
    startedAt,
    durationMs,
    before,
    after,
    isCreated: target.isCreated,
    proof: prove(sender.claims(), target.ledgerBefore, ledgerAfter),
    marks: sender.marks,
    timeline: timeline.points,
    cores: await cores.shares(),
    isInterrupted: signal.aborted,
  });
}

/**
 * The ledger once nothing of the run is left in the ring, or as it is when the time for that is over; `undefined`: the
 * daemon is away.
 */
async function untilDrained(
  rest: DaemonRest,
  plan: LoadPlan,
  claims: readonly Claim[],
): Promise<LedgerAnswer | undefined> {
  const endMs = performance.now() + plan.settleMs;
  for (;;) {
    const ledger = await rest.showLedger(plan.map).catch(() => undefined);
    const isDone = ledger !== undefined && bufferedOf(claims, ledger) === 0;
    if (isDone || performance.now() > endMs) return ledger;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

const POLL_MS = 50;

/** How many cores tester and daemon use: tells which of the two was the limit. */
class CoreMeter {
  readonly #rest: DaemonRest;
  readonly #startedMs = performance.now();
  readonly #usage = process.cpuUsage();
  readonly #daemonSeconds: number | undefined;

  private constructor(rest: DaemonRest, daemonSeconds: number | undefined) {
    this.#rest = rest;
    this.#daemonSeconds = daemonSeconds;
  }

  static async start(rest: DaemonRest): Promise<CoreMeter> {
    return new CoreMeter(rest, await rest.cpuSeconds());
  }

  async shares(): Promise<LoadResult['cores']> {
    const { user, system } = process.cpuUsage(this.#usage);
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const daemonSeconds = await this.#rest.cpuSeconds();
    const used =
      daemonSeconds === undefined || this.#daemonSeconds === undefined
        ? undefined
        : daemonSeconds - this.#daemonSeconds;
    return {
      load_tester: (user + system) / 1e6 / seconds,
      daemon: used === undefined || used < 0 ? null : used / seconds,
    };
  }
}
