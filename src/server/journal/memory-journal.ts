import { NO_SYNCS, NOTHING_IN_LOOP, type Journal, type JournalHost } from './journal.js';

/** The journal of a map that keeps nothing: whatever is in the ring is as durable as it will get. */
export class MemoryJournal implements Journal {
  readonly durability = 'memory';
  readonly failed = false;
  readonly createdMs = undefined;
  readonly findings = [];
  readonly syncs = NO_SYNCS;
  readonly loop = NOTHING_IN_LOOP;
  #host: JournalHost | undefined;

  allocate(bytes: number): ArrayBuffer {
    return new ArrayBuffer(bytes);
  }

  attach(host: JournalHost): undefined {
    this.#host = host;
  }

  changed(): void {
    const host = this.#host;
    host?.durable(host.snapshot());
  }

  rewritten(): void {
    this.changed();
  }

  async settled(): Promise<void> {}

  async close(): Promise<void> {}
}
