import type { Dynptr } from '../../../ring/index.js';
import type { LogLevel } from './thread-messages.js';

/** What running code may ask for. */
export interface CodeServices {
  log(level: LogLevel, text: string): void;
  /** @returns 0 or a negative errno, see {@link EmitLog.append} */
  emit(map: string, payload: Uint8Array): number;
}

/** One drain, as the code sees it. */
export interface CodeDrain {
  /** The caller's ctx, as JSON text. */
  ctx: string;
  incarnation: string;
  /** Where the record of the sample at hand starts: with the incarnation it names the sample for good. */
  position: () => bigint;
}

/** A handler's code, loaded into the thread that runs it. */
export interface LoadedCode {
  /** What the verifier tells the operator about it. */
  readonly facts: Record<string, unknown>;
  begin(drain: CodeDrain): void;
  /**
   * @returns the code's answer as it is: the caller checks that it is 0 or 1
   * @throws SampleTooBig, or whatever the code throws
   */
  onSample(sample: Dynptr): unknown;
  /**
   * Whether something may still fail because of the last sample, in a later turn of the event loop. Clears the mark.
   * Absent: never.
   */
  takeUnsettled?(): boolean;
}

/** The sample does not fit into the code's buffer: the drain ends with E2BIG. */
export class SampleTooBig extends Error {
  override name = 'SampleTooBig';
}
