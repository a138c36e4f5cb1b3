/** What the daemon and the thread of a handler tell each other. Samples and counts are not in it: those are shared. */

/** What the thread runs. */
export type ThreadCode =
  | {
      kind: 'wasm';
      /** The bytes, or what an earlier thread compiled from them. */
      module: Uint8Array | WebAssembly.Module;
    }
  | { kind: 'module'; url: string; options: unknown };

/** `workerData` of the thread. */
export interface ThreadSetup {
  code: ThreadCode;
  map: string;
  handler: string;
  /** Maps that it may emit into. */
  emit: readonly string[];
  /** Bytes of the emit log of each of them. */
  emitBytes: number;
  /** Bytes that the thread may hold outside its heap; checked between samples. */
  maxExternalBytes: number;
  ledger: SharedArrayBuffer;
  emitLog: SharedArrayBuffer;
}

export type ThreadRequest =
  | { type: 'probe' }
  | { type: 'attach'; ring: SharedArrayBuffer; journalled: boolean }
  | {
      type: 'drain';
      /** The caller's ctx, as JSON text. */
      ctx: string;
      incarnation: string;
      /** Consumer position at which the drain begins. */
      position: bigint;
      maxTurns: number;
      /** The thread begins no further sample after so many milliseconds. */
      softLimitMs: number;
      /** Bytes granted for each target of `emit`. */
      credit: readonly number[];
    };

/** A rule of the verifier that the code breaks. */
export interface Refusal {
  rule: string;
  detail: string;
}

/** What the thread says about an error that ended a drain. */
export interface ThreadError {
  name: string;
  message: string;
}

export type ThreadReport =
  | { type: 'loaded'; module?: WebAssembly.Module; facts: Record<string, unknown> }
  | { type: 'refused'; refusal: Refusal }
  | { type: 'probed' }
  /** Room was given back since the last report. */
  | { type: 'progress' }
  /** The code has thrown where no sample was being handled; the thread ends. */
  | { type: 'lost'; error: ThreadError }
  | { type: 'log'; level: LogLevel; text: string }
  | {
      type: 'ended';
      /** 0, or a negative errno. */
      ret: number;
      stopped: boolean;
      /** Its time was used up. */
      cut?: boolean;
      emitsRefused: number;
      error?: ThreadError;
      /** The thread is not to be used again. */
      unfit?: boolean;
    };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
