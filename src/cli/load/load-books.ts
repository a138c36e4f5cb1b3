import { LatencyRecorder } from './latency-recorder.js';

/** What the load tester itself knows of a run. Samples unless said otherwise. */
export class LoadBooks {
  /** Due by the plan, sent or not. */
  offered = 0;
  /** Handed to the daemon. */
  sent = 0;
  /** The daemon said that they are in the ring. */
  acknowledged = 0;
  /** Nobody can tell: the connection ended while the answer was awaited, and there is no way to ask. */
  uncertain = 0;
  /** Refused for good, or given up. */
  failed = 0;
  /** Due before the end and never sent. */
  missed = 0;
  /** Frames, or requests, that were acknowledged. */
  frames = 0;
  reconnects = 0;
  cuts = 0;
  stalls = 0;
  /** Connections that the daemon closed because they did not read. */
  slowCloses = 0;
  /** Times that the SDK could not tell what had become of acknowledged samples. */
  contentLost = 0;
  /** Errors by their text, so that a run that fails says why. */
  readonly errors = new Map<string, number>();
  readonly acknowledge = new LatencyRecorder();
  readonly drain = new LatencyRecorder();

  failedWith(message: string): void {
    // A thousand producers may fail in the same way; what differs beyond that is of no use in a table.
    const known = this.errors.get(message);
    if (known !== undefined || this.errors.size < MAX_ERRORS) this.errors.set(message, (known ?? 0) + 1);
  }
}

const MAX_ERRORS = 20;
