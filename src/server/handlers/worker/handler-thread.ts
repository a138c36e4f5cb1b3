/** One thread of a handler, from its start to its end, seen from the daemon. */
import { Worker } from 'node:worker_threads';
import type { UserRing } from '../../../ring/index.js';
import { builtModule } from '../../built-module.js';
import type { Clock } from '../../clock.js';
import type { LogLevel, ThreadError, ThreadReport, ThreadRequest, ThreadSetup } from './thread-messages.js';

/** Bytes of what the code prints that are kept for the log, for each drain. */
const MAX_PRINTED_CHARS = 16_384;
/** Time that a thread which was told to end has for it, in ms. JavaScript and WebAssembly end at once. */
const TERMINATE_GRACE_MS = 1000;
const STACK_MB = 4;
const YOUNG_GENERATION_MB = 16;

export interface ThreadOptions {
  setup: ThreadSetup;
  /** Bound on the thread's JavaScript heap, in MiB. */
  memoryMb: number;
  clock: Clock;
  onLog: (level: LogLevel, text: string) => void;
}

/** How a request to the thread ended. */
export type ThreadAnswer<Report> =
  | { how: 'answered'; report: Report }
  /** The time was over. The thread was ended, or could not be (a call into the system does not return) and was left alone. */
  | { how: 'timeout'; abandoned: boolean }
  /** The thread has ended by itself. */
  | { how: 'died'; error: ThreadError };

type Loaded = Extract<ThreadReport, { type: 'loaded' }>;
type Refused = Extract<ThreadReport, { type: 'refused' }>;
type Probed = Extract<ThreadReport, { type: 'probed' }>;
type Ended = Extract<ThreadReport, { type: 'ended' }>;
/** The reports that answer a request. */
type Answer = Loaded | Refused | Probed | Ended;

export type DrainMessage = Omit<Extract<ThreadRequest, { type: 'drain' }>, 'type'>;

export class HandlerThread {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #onLog: ThreadOptions['onLog'];
  readonly #exited: Promise<void>;
  #error: ThreadError | undefined;
  #alive = true;
  #attached: SharedArrayBuffer | undefined;
  #settle: ((answer: ThreadAnswer<Answer>) => void) | undefined;
  #onProgress: (() => void) | undefined;
  #printed = 0;

  /** Starts the thread; it loads its code at once: {@link loaded} tells how that went. */
  constructor({ setup, memoryMb, clock, onLog }: ThreadOptions) {
    this.#clock = clock;
    this.#onLog = onLog;
    this.#worker = new Worker(builtModule('thread-entry.js', import.meta.url), {
      name: `${setup.map}/${setup.handler}`,
      workerData: setup,
      // Neither the daemon's arguments nor what its environment may hold of secrets.
      argv: [],
      execArgv: [],
      env: {},
      stdin: false,
      stdout: true,
      stderr: true,
      resourceLimits: {
        maxOldGenerationSizeMb: memoryMb,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MB,
        stackSizeMb: STACK_MB,
      },
    });
    this.#worker.unref();
    this.#worker.on('message', (report: ThreadReport) => this.#reported(report));
    this.#worker.on('error', (error: Error & { code?: string }) => {
      this.#error ??= { name: error.code ?? error.name, message: error.message };
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        this.#alive = false;
        resolve();
        this.#error ??= { name: 'Exit', message: `the handler exited with code ${code}` };
        this.#answer({ how: 'died', error: this.#error });
      });
    });
    for (const stream of [this.#worker.stdout, this.#worker.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => this.#print(text));
  }

  /** Why the thread has ended by itself, if it has. */
  get lastWords(): string | undefined {
    return this.#error?.message;
  }

  /** Whether the thread may be given another drain. */
  get alive(): boolean {
    return this.#alive;
  }

  /** Waits until the code is loaded. To be called once, first. */
  loaded(limitMs: number): Promise<ThreadAnswer<Loaded | Refused>> {
    return this.#within(limitMs) as Promise<ThreadAnswer<Loaded | Refused>>;
  }

  /** Runs a fresh instance of the code on samples of the verifier's. */
  probe(limitMs: number): Promise<ThreadAnswer<Probed | Refused>> {
    return this.#request({ type: 'probe' }, limitMs) as Promise<ThreadAnswer<Probed | Refused>>;
  }

  /**
   * One drain. When the promise resolves the thread has either answered or ended: it releases nothing any more.
   * @param onProgress the thread has given room back
   */
  drain(
    ring: UserRing,
    drain: DrainMessage,
    limitMs: number,
    onProgress: () => void,
  ): Promise<ThreadAnswer<Ended>> {
    const image = ring.share();
    if (this.#attached !== image) {
      this.#attached = image;
      this.#post({ type: 'attach', ring: image, journalled: ring.journalled });
    }
    this.#onProgress = onProgress;
    this.#printed = 0;
    return this.#request({ type: 'drain', ...drain }, limitMs) as Promise<ThreadAnswer<Ended>>;
  }

  /** Ends the thread, whatever it is doing. */
  async terminate(): Promise<void> {
    this.#alive = false;
    await this.#worker.terminate();
    await this.#exited;
  }

  #post(request: ThreadRequest): void {
    this.#worker.postMessage(request);
  }

  #request(request: ThreadRequest, limitMs: number): Promise<ThreadAnswer<Answer>> {
    const answer = this.#within(limitMs);
    this.#post(request);
    return answer;
  }

  #within(limitMs: number): Promise<ThreadAnswer<Answer>> {
    if (!this.#alive)
      return Promise.resolve({
        how: 'died',
        error: this.#error ?? { name: 'Exit', message: 'the thread of the handler was ended' },
      });
    return new Promise((resolve) => {
      const cancel = this.#clock.after(limitMs, () => {
        // What comes from the thread from now on is no answer any more.
        this.#settle = undefined;
        const giveUp = this.#clock.after(TERMINATE_GRACE_MS, () =>
          resolve({ how: 'timeout', abandoned: true }),
        );
        void this.terminate().then(() => {
          giveUp();
          resolve({ how: 'timeout', abandoned: false });
        });
      });
      this.#settle = (answer) => {
        cancel();
        this.#settle = undefined;
        resolve(answer);
      };
    });
  }

  #answer(answer: ThreadAnswer<Answer>): void {
    this.#settle?.(answer);
  }

  #reported(report: ThreadReport): void {
    switch (report.type) {
      case 'log':
        this.#onLog(report.level, report.text);
        break;
      case 'progress':
        this.#onProgress?.();
        break;
      case 'lost':
        this.#error ??= report.error;
        break;
      default:
        this.#answer({ how: 'answered', report });
    }
  }

  #print(text: string): void {
    const room = MAX_PRINTED_CHARS - this.#printed;
    if (room <= 0) return;
    this.#printed += text.length;
    this.#onLog('info', text.slice(0, room).trimEnd());
  }
}
