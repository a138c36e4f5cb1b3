import type { JournalFile } from '../../src/server/journal/journal-file.js';

/** What happened to a simulated file, in order. Marks are the test's own. */
export type DiskEvent =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'sync' }
  | { readonly kind: 'mark'; readonly mark: unknown };

/** A file that remembers every write and sync, and can be told to fail. Every call takes a turn of the event loop. */
export class RecordingFile implements JournalFile {
  readonly events: DiskEvent[] = [];
  readonly bytes: Uint8Array;
  /** What the next writes and syncs do instead of succeeding. */
  failWrite: (() => Error | undefined) | undefined;
  failSync: (() => Error | undefined) | undefined;
  closed = false;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  async write(at: number, bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    await turn();
    const error = this.failWrite?.();
    if (error !== undefined) throw error;
    this.bytes.set(copy, at);
    this.events.push({ kind: 'write', at, bytes: copy });
  }

  async sync(): Promise<void> {
    await turn();
    const error = this.failSync?.();
    if (error !== undefined) throw error;
    this.events.push({ kind: 'sync' });
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
