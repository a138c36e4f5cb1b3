/**
 * A handler whose code runs in a thread of its own, on the ring itself. Whatever the code does costs its map a drain, and
 * the thread: a drain that fails leaves the consumer position at the last sample that the code has answered for.
 */
import { Errno, type ReleasedSoFar, type UserRing } from '../../../ring/index.js';
import { waiting } from '../../loop-time.js';
import type { HandlerDeps, WorkerDrain, WorkerHandler, WorkerOutcome } from '../handler.js';
import { DrainLedger, type ReleasedCounts } from './drain-ledger.js';
import { EmitCredit, type EmitTarget } from './emit-credit.js';
import { HandlerThread, type ThreadAnswer } from './handler-thread.js';
import type { Refusal, ThreadCode, ThreadError, ThreadReport } from './thread-messages.js';
import { refusedBy, type VerifierLine } from './verifier-log.js';

/** How often the daemon looks how far a drain has come, in ms, beside what the thread reports. */
const PROGRESS_INTERVAL_MS = 5;
/** A thread begins no further sample behind this part of its budget: only a sample that hangs meets the end of it. */
const SOFT_LIMIT = 0.5;
/** JavaScript heap that a thread needs to come up at all: a WebAssembly module's own memory may be smaller. */
const MIN_HEAP_MB = 8;

/** What handlers in threads are made with, beside what every handler is. */
export interface WorkerDeps extends HandlerDeps {
  /** The maps that `config.emit` may name. Absent: there are none, every emit is answered with ENOSPC. */
  readonly emitTarget?: ((map: string) => EmitTarget | undefined) | undefined;
}

export interface WorkerLimits {
  /** Time of one drain. */
  budgetMs: number;
  /** Time for loading the code, and for the verifier's probe. */
  loadMs: number;
  memoryMb: number;
}

export interface WorkerOptions {
  code: ThreadCode;
  /** What the verifier has found so far. */
  verified: readonly VerifierLine[];
  limits: WorkerLimits;
  emit: readonly string[];
  /** Bytes that one drain may emit into each target. */
  emitBytes: number;
}

type Failure = { ret: number; stopped: boolean; error: Error };

export class ThreadedHandler implements WorkerHandler {
  readonly shape = 'worker';
  readonly #deps: WorkerDeps;
  readonly #options: WorkerOptions;
  #code: ThreadCode;
  #thread: HandlerThread | undefined;
  #ledger = new DrainLedger();
  #emits: EmitCredit;
  #facts: Record<string, unknown> = {};
  #starts = 0;
  #timeouts = 0;
  #samples = 0;
  #emitsRefused = 0;
  #wrappingUp = false;

  constructor(options: WorkerOptions, deps: WorkerDeps) {
    this.#options = options;
    this.#code = options.code;
    this.#deps = deps;
    this.#emits = this.#newEmits();
  }

  /** Maps that the handler may emit into: edges of the graph of handlers. */
  get targets(): readonly string[] {
    return this.#options.emit;
  }

  get starts(): number {
    return this.#starts;
  }

  get emitsRefused(): number {
    return this.#emitsRefused;
  }

  /**
   * Loads the code, and probes it if it is a WebAssembly module.
   * @throws RingbufdError HANDLER_CONFIG, its detail naming the rule that the code breaks; no thread is left then
   */
  async prepare(): Promise<void> {
    const { loadMs } = this.#options.limits;
    const thread = this.#start();
    try {
      const loaded = this.#accepted(await thread.loaded(loadMs), 'load');
      this.#loaded(loaded);
      if (this.#code.kind === 'wasm') this.#accepted(await thread.probe(loadMs), 'probe');
      this.#thread = thread;
    } catch (error) {
      await thread.terminate();
      throw error;
    }
  }

  begin(): void {
    // Takes any ctx.
  }

  /**
   * One drain of a managed ring that is not being drained. Never rejects for what the code does.
   * @param onProgress the consumer position has moved
   */
  async drain(
    ring: UserRing,
    request: WorkerDrain,
    onProgress: (soFar?: ReleasedSoFar, consumerLow?: number) => void,
  ): Promise<WorkerOutcome> {
    const nothing = { drained: 0, discarded: 0, discardedBytes: 0 };
    try {
      ring.share();
    } catch (error) {
      return { ret: -Errno.ENOMEM, ...nothing, stopped: false, error, notAsked: true };
    }
    const { loop } = request;
    const thread = await waiting(loop, this.#readyThread());
    if (!(thread instanceof HandlerThread)) return { ...thread, ...nothing, notAsked: true };
    const ledger = this.#ledger;
    ledger.open(ring.consumerLow);
    if (this.#wrappingUp) ledger.askEnd();
    const credit = this.#emits.begin();
    const { budgetMs } = this.#options.limits;
    let seen = ring.consumerLow;
    const moved = (): void => {
      if (ring.consumerLow === seen) return;
      seen = ring.consumerLow;
      loop?.resume();
      const counts = ledger.read(ring);
      if (counts !== undefined) this.#emits.apply(counts.emitted);
      onProgress(counts, counts?.consumerLow);
      loop?.pause();
      if (loop?.spent) ledger.askEnd();
    };
    const stopWatching = this.#watch(moved);
    const running = thread.drain(
      ring,
      {
        ctx: JSON.stringify(request.ctx ?? {}),
        incarnation: request.incarnation,
        position: ring.consumerPosition,
        maxTurns: request.maxTurns,
        softLimitMs: budgetMs * SOFT_LIMIT,
        credit,
      },
      budgetMs,
      moved,
    );
    const answer = await waiting(loop, running);
    stopWatching();
    if (answer.how !== 'answered') {
      if (answer.how === 'timeout' && answer.abandoned) ring.share(true);
      ring.mendConsumerPosition();
    }
    const released = ended(ledger, ring);
    this.#emits.end(released.emitted);
    this.#samples += released.drained;
    const { ret, stopped, cut, error } = await waiting(loop, this.#outcomeOf(answer));
    const { drained, discarded, discardedBytes } = released;
    return { ret: ret === 0 ? drained : ret, drained, discarded, discardedBytes, stopped, cut, error };
  }

  wrapUp(): void {
    this.#wrappingUp = true;
    this.#ledger.askEnd();
  }

  state(): Record<string, unknown> {
    return {
      samples: this.#samples,
      thread: this.#thread?.alive ? 'ready' : 'none',
      starts: this.#starts,
      timeouts: this.#timeouts,
      ...(this.#thread?.lastWords !== undefined && { last_exit: this.#thread.lastWords }),
      ...(this.targets.length > 0 && {
        emitted_bytes: this.#emits.emittedBytes,
        emits_refused: this.#emitsRefused,
      }),
      ...this.#facts,
    };
  }

  async close(): Promise<void> {
    await this.#drop();
  }

  #newEmits(): EmitCredit {
    const { emit, emitBytes } = this.#options;
    return new EmitCredit(emit, emitBytes, (map) => this.#deps.emitTarget?.(map));
  }

  #accepted<Report extends ThreadReport>(
    answer: ThreadAnswer<Report>,
    step: 'load' | 'probe',
  ): Exclude<Report, { type: 'refused' }> {
    if (answer.how === 'answered' && answer.report.type !== 'refused')
      return answer.report as Exclude<Report, { type: 'refused' }>;
    const { limits, verified } = this.#options;
    const refusal =
      answer.how === 'timeout'
        ? { rule: `${step}-time`, detail: `it has not ended within load_ms (${limits.loadMs})` }
        : refusalOf(answer, step);
    throw refusedBy([...verified, { ...refusal, ok: false }]);
  }

  /** With books of its own: a thread that cannot be ended goes on writing into the old ones. */
  #start(): HandlerThread {
    const { map, handler, logger, clock } = this.#deps;
    const { limits, emit, emitBytes } = this.#options;
    this.#ledger = new DrainLedger();
    this.#emits.replaceLog();
    this.#starts++;
    const log = logger.child({ map, handler });
    return new HandlerThread({
      setup: {
        code: this.#code,
        map,
        handler,
        emit,
        emitBytes,
        maxExternalBytes: limits.memoryMb * 2 ** 20,
        ledger: this.#ledger.buffer,
        emitLog: this.#emits.buffer,
      },
      memoryMb: Math.max(limits.memoryMb, MIN_HEAP_MB),
      clock,
      onLog: (level, text) => log[level]({ text }, 'handler'),
    });
  }

  /** The thread that runs, or a new one with the code loaded, or why there is none. */
  async #readyThread(): Promise<HandlerThread | Failure> {
    if (this.#thread?.alive) return this.#thread;
    this.#thread = undefined;
    const { loadMs } = this.#options.limits;
    const thread = this.#start();
    const answer = await thread.loaded(loadMs);
    if (answer.how === 'answered' && answer.report.type === 'loaded') {
      this.#loaded(answer.report);
      this.#thread = thread;
      return thread;
    }
    if (answer.how === 'answered') await thread.terminate();
    if (answer.how === 'timeout') {
      this.#timeouts++;
      const error = new Error(`the handler was not loaded within load_ms (${loadMs})`);
      return { ret: -Errno.ETIMEDOUT, stopped: false, error };
    }
    const { rule, detail } = refusalOf(answer);
    return { ret: -Errno.EIO, stopped: false, error: new Error(`${rule}: ${detail}`) };
  }

  #loaded(report: Extract<ThreadReport, { type: 'loaded' }>): void {
    this.#facts = { ...this.#facts, ...report.facts };
    if (report.module === undefined) return;
    this.#code = { kind: 'wasm', module: report.module };
  }

  async #outcomeOf(
    answer: Awaited<ReturnType<HandlerThread['drain']>>,
  ): Promise<{ ret: number; stopped: boolean; cut?: boolean; error: unknown }> {
    switch (answer.how) {
      case 'timeout': {
        this.#thread = undefined;
        this.#timeouts++;
        const error = new Error(
          `a sample was not answered for within budget_ms (${this.#options.limits.budgetMs})`,
        );
        return { ret: -Errno.ETIMEDOUT, stopped: false, error };
      }
      case 'died':
        this.#thread = undefined;
        return { ret: -Errno.EIO, stopped: false, error: toError(answer.error) };
      case 'answered': {
        const { ret, stopped, cut = false, error, unfit, emitsRefused } = answer.report;
        this.#emitsRefused += emitsRefused;
        if (unfit) await this.#drop();
        return { ret, stopped, cut, error: error === undefined ? undefined : toError(error) };
      }
    }
  }

  #watch(look: () => void): () => void {
    const { clock } = this.#deps;
    let cancel = clock.after(PROGRESS_INTERVAL_MS, again);
    function again(): void {
      look();
      cancel = clock.after(PROGRESS_INTERVAL_MS, again);
    }
    return () => cancel();
  }

  async #drop(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }
}

function refusalOf(answer: ThreadAnswer<ThreadReport>, step = 'load'): Refusal {
  if (answer.how === 'answered' && answer.report.type === 'refused') return answer.report.refusal;
  if (answer.how === 'died')
    return { rule: `${step}-exit`, detail: `${answer.error.name}: ${answer.error.message}` };
  return { rule: step, detail: 'it did not answer' };
}

function toError({ name, message }: ThreadError): Error {
  return new Error(name === 'Error' ? message : `${name}: ${message}`);
}

/** @throws Error when the books do not know the consumer position: nothing but the thread may have moved it */
function ended(ledger: DrainLedger, ring: UserRing): ReleasedCounts {
  const counts = ledger.read(ring);
  if (counts === undefined) throw new Error('the books of a drain do not know the consumer position');
  return counts;
}
