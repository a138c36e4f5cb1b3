import type { JournalFile } from '../../src/server/journal/journal-file.js';

/**
 * What happened to a simulated file, in order. A write is in flight from its begin to its end, and several may be. Marks
 * are the test's own.
 */
export type DiskEvent =
  | { readonly kind: 'begin'; readonly id: number; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly id: number }
  /** A sync has ended. It covers the writes that had ended before it began, and vouches for no other. */
  | { readonly kind: 'sync'; readonly covers: ReadonlySet<number> }
  | { readonly kind: 'mark'; readonly mark: unknown };

/** A file that remembers every write and sync, and can be told to fail. Every call takes turns of the event loop. */
export class RecordingFile implements JournalFile {
  readonly events: DiskEvent[] = [];
  readonly bytes: Uint8Array;
  /** What the next writes and syncs do instead of succeeding. */
  failWrite: (() => Error | undefined) | undefined;
  failSync: (() => Error | undefined) | undefined;
  closed = false;
  readonly #turns: () => number;
  #writes = 0;
  readonly #ended = new Set<number>();

  /** @param turns that a write takes; by it, one that began later may end earlier */
  constructor(bytes: Uint8Array, turns: () => number = () => 1) {
    this.bytes = bytes;
    this.#turns = turns;
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    const id = ++this.#writes;
    this.events.push({ kind: 'begin', id, at, bytes: bytes.slice() });
    for (let left = this.#turns(); left > 0; left--) await turn();
    const error = this.failWrite?.();
    if (error !== undefined) throw error;
    // As it is now: who changes a buffer that is being written gets what that leads to.
    this.bytes.set(bytes, at);
    this.#ended.add(id);
    this.events.push({ kind: 'end', id });
  }

  async sync(): Promise<void> {
    const covers = new Set(this.#ended);
    await turn();
    const error = this.failSync?.();
    if (error !== undefined) throw error;
    this.events.push({ kind: 'sync', covers });
  }

  async read(at: number, bytes: Uint8Array): Promise<number> {
    const part = this.bytes.subarray(at, at + bytes.length);
    bytes.set(part);
    return part.length;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  mark(mark: unknown): void {
    this.events.push({ kind: 'mark', mark });
  }
}

/** A file over somebody else's bytes whose changes can be taken back. */
export class UndoableFile implements JournalFile {
  readonly #bytes: Uint8Array;
  readonly #undo: { at: number; bytes: Uint8Array }[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    this.apply(at, bytes);
  }

  apply(at: number, bytes: Uint8Array): void {
    this.#undo.push({ at, bytes: this.#bytes.slice(at, at + bytes.length) });
    this.#bytes.set(bytes, at);
  }

  async sync(): Promise<void> {}

  async read(at: number, bytes: Uint8Array): Promise<number> {
    const part = this.#bytes.subarray(at, at + bytes.length);
    bytes.set(part);
    return part.length;
  }

  async close(): Promise<void> {}

  rollBack(): void {
    for (let step = this.#undo.pop(); step !== undefined; step = this.#undo.pop())
      this.#bytes.set(step.bytes, step.at);
  }
}

export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
