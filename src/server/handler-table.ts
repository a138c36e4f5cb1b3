import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type { RingMode } from '../ring/index.js';
import { createHandler, type EmitTarget, type Handler, type WorkerHandler } from './handlers/index.js';
import type { Trigger } from './trigger.js';

/** What a caller registers. */
export interface HandlerSpec {
  kind: string;
  config: unknown;
  trigger: Trigger;
}

/** A handler as registered on a map. */
export interface RegisteredHandler {
  readonly name: string;
  readonly kind: string;
  /** With the kind's defaults filled in. */
  readonly config: Record<string, unknown>;
  readonly trigger: Trigger;
  readonly handler: Handler;
  /** Errno and message of the last drain that failed; null since the last one that went well. */
  lastError: { errno: string; message: string } | null;
}

export interface HandlerTableOptions {
  map: string;
  mode: RingMode;
  dataDir: string;
  /** Where modules of the operator's are; absent: there are none. */
  handlersDir?: string | undefined;
  /** Maps that handlers may emit into; absent: there are none. */
  emitTarget?: ((map: string) => EmitTarget | undefined) | undefined;
  /** Addresses that webhooks may reach besides public ones. */
  webhooks?: { readonly allow: readonly string[] } | undefined;
  logger: Logger;
  clock: Clock;
  maxHandlers: number;
  /** A handler could take now what it had to refuse. */
  onReady: (name: string) => void;
  /** Bytes that the handlers of this map may keep on disk, together. */
  maxDiskBytes: number;
}

/** The handlers of one map. */
export class HandlerTable {
  readonly #options: HandlerTableOptions;
  readonly #handlers = new Map<string, RegisteredHandler>();

  constructor(options: HandlerTableOptions) {
    this.#options = options;
  }

  /** @throws RingbufdError NO_HANDLER */
  get(name: string): RegisteredHandler {
    const found = this.#handlers.get(name);
    if (found === undefined)
      throw new RingbufdError('NO_HANDLER', `map "${this.#options.map}" has no handler "${name}"`);
    return found;
  }

  list(): RegisteredHandler[] {
    return [...this.#handlers.values()];
  }

  /** The handler with the auto trigger, if any. */
  get auto(): RegisteredHandler | undefined {
    return this.list().find(({ trigger }) => trigger.mode === 'auto');
  }

  /**
   * Registers a handler, in the place of one of the same name, which is flushed and closed first.
   * @param mayInstall called when a handler that had to be tried out is ready; throws if it may not be taken any more
   * @returns the handler, and whether the name is new
   * @throws RingbufdError HANDLER_KIND, HANDLER_CONFIG, AUTO_TAKEN, LIMIT_HANDLERS: nothing is changed then
   */
  async put(
    name: string,
    spec: HandlerSpec,
    mayInstall: () => void = () => undefined,
  ): Promise<{ registered: RegisteredHandler; created: boolean }> {
    const { map, dataDir, handlersDir, emitTarget, webhooks, logger, clock } = this.#options;
    const others = this.list().filter((other) => other.name !== name);
    const auto = others.find(({ trigger }) => trigger.mode === 'auto');
    if (spec.trigger.mode === 'auto' && auto !== undefined)
      throw new RingbufdError('AUTO_TAKEN', `handler "${auto.name}" has the auto trigger of map "${map}"`);
    if (others.length >= this.#options.maxHandlers)
      throw new RingbufdError('LIMIT_HANDLERS', `map "${map}" has ${others.length} other handlers`);
    const { handler, config } = createHandler(spec.kind, spec.config, {
      map,
      handler: name,
      dataDir,
      handlersDir,
      emitTarget,
      webhooks,
      logger,
      clock,
    });
    this.#checkClaims(handler, others);
    if (handler.shape === 'worker') await this.#prepare(handler, spec, mayInstall);
    if (handler.shape === 'batch') handler.onReady = () => this.#options.onReady(name);
    const old = this.#handlers.get(name);
    const registered = { name, kind: spec.kind, config, trigger: spec.trigger, handler, lastError: null };
    this.#handlers.set(name, registered);
    await old?.handler.close();
    return { registered, created: old === undefined };
  }

  /** @throws RingbufdError NO_HANDLER */
  async delete(name: string): Promise<void> {
    const { handler } = this.get(name);
    this.#handlers.delete(name);
    await handler.close();
  }

  /** Flushes and closes all of them. */
  async close(): Promise<void> {
    await Promise.all(this.list().map(({ handler }) => handler.close()));
  }

  /** Tries a handler out. Time goes by meanwhile: what was checked before may be otherwise. */
  async #prepare(handler: WorkerHandler, spec: HandlerSpec, mayInstall: () => void): Promise<void> {
    const { mode, map } = this.#options;
    if (mode === 'direct')
      throw new RingbufdError(
        'HANDLER_CONFIG',
        `kind "${spec.kind}" drains in a thread, which takes the positions of a managed map; map "${map}" is direct`,
      );
    const before = new Set(this.#handlers.values());
    await handler.prepare();
    try {
      mayInstall();
      if (this.list().some((other) => !before.has(other)))
        throw new RingbufdError('MAP_BUSY', `another handler of map "${map}" was registered meanwhile`);
    } catch (error) {
      await handler.close();
      throw error;
    }
  }

  #checkClaims(handler: Handler, others: RegisteredHandler[]): void {
    if (handler.claim === undefined) return;
    const { file, diskBytes } = handler.claim;
    let taken = 0;
    for (const other of others) {
      if (other.handler.claim === undefined) continue;
      if (sharesFiles(other.handler.claim.file, file))
        throw new RingbufdError(
          'HANDLER_CONFIG',
          `handler "${other.name}" writes ${join('out', this.#options.map, other.handler.claim.file)} and what it is ` +
            'rotated to: choose another config.name',
        );
      taken += other.handler.claim.diskBytes;
    }
    if (taken + diskBytes > this.#options.maxDiskBytes)
      throw new RingbufdError(
        'HANDLER_CONFIG',
        `rotate_bytes × (keep + 1) is ${diskBytes} bytes; with ${taken} of the map's other handlers that is over ` +
          `limits.max_file_bytes_per_map (${this.#options.maxDiskBytes})`,
      );
  }
}

/** Whether two files are the same, or one is what the other is rotated to. */
function sharesFiles(a: string, b: string): boolean {
  return a === b || isRotationOf(a, b) || isRotationOf(b, a);
}

function isRotationOf(rotated: string, file: string): boolean {
  return rotated.startsWith(`${file}.`) && /^\d+$/.test(rotated.slice(file.length + 1));
}
