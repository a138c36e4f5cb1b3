import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from './clock.js';
import { RingbufdError } from './errors.js';
import type { RingMode } from '../ring/index.js';
import { createHandler, type EmitTarget, type Handler, type WorkerHandler } from './handlers/index.js';
import { HandlerHealth } from './handler-health.js';
import { refuseCycle, type EdgesOf } from './handler-graph.js';
import { onErrorProblem, type OnError } from './on-error.js';
import type { Trigger } from './trigger.js';

/** What a caller registers. */
export interface HandlerSpec {
  kind: string;
  config: unknown;
  trigger: Trigger;
  /** `stop` if absent. */
  onError?: OnError;
  /** True if absent. */
  enabled?: boolean;
  /** It is only tried, on copies of what the other handlers of the map drain. */
  shadow?: boolean;
}

/** With nothing left out: what is declared of a handler. */
export type CompleteSpec = Required<HandlerSpec>;

export const handlerStatuses = ['running', 'backing_off', 'faulted', 'disabled'] as const;
export type HandlerStatus = (typeof handlerStatuses)[number];

/** A handler as registered on a map. */
export interface RegisteredHandler {
  readonly name: string;
  readonly kind: string;
  /** With the kind's defaults filled in. */
  readonly config: Record<string, unknown>;
  readonly trigger: Trigger;
  /** As it was asked for, secrets and modules included, and enabled or disabled since. */
  spec: CompleteSpec;
  readonly handler: Handler;
  /** It is being replaced or removed: no drain begins through it any more. */
  retiring: boolean;
  /** What it came to at run time. */
  readonly health: HandlerHealth;
}

export interface HandlerTableOptions {
  map: string;
  mode: RingMode;
  dataDir: string;
  /** Where modules of the operator's are; absent: there are none. */
  handlersDir?: string | undefined;
  /** Maps that handlers may emit into; absent: there are none. */
  emitTarget?: ((map: string) => EmitTarget | undefined) | undefined;
  /** The maps that the handlers of any map put samples into; absent: nobody knows. */
  edgesOf?: EdgesOf | undefined;
  /** Addresses that webhooks may reach besides public ones. */
  webhooks?: { readonly allow: readonly string[] } | undefined;
  logger: Logger;
  clock: Clock;
  maxHandlers: number;
  /** A handler could take now what it had to refuse. */
  onReady: (name: string) => void;
  /** Bytes that the handlers of this map may keep on disk, together. */
  maxDiskBytes: number;
  /**
   * Ends the drain under way through a handler that is to go, behind the sample or the batch at hand; resolves when
   * none is.
   */
  endDrain: (registered: RegisteredHandler) => Promise<void>;
}

/** Where a shadow emits to: it gets the usual answers, and nothing is stored. */
const DROP: EmitTarget = { grant: (bytes) => bytes, store: () => undefined, settle: () => undefined };

/** The handlers of one map. */
export class HandlerTable {
  readonly #options: HandlerTableOptions;
  readonly #handlers = new Map<string, RegisteredHandler>();
  /** What is being registered, or null for what is being removed, by name. One change of a name at a time. */
  readonly #changing = new Map<string, RegisteredHandler | null>();

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

  /** The handler of that name, if there is one. */
  find(name: string): RegisteredHandler | undefined {
    return this.#handlers.get(name);
  }

  list(): RegisteredHandler[] {
    return [...this.#handlers.values()];
  }

  /** The handler with the auto trigger, if any. */
  get auto(): RegisteredHandler | undefined {
    return this.list().find(({ trigger }) => trigger.mode === 'auto');
  }

  /** Maps that the handlers of this map put samples into: emitted ones, and dead letters. */
  get targets(): string[] {
    return this.list().flatMap(targetsOf);
  }

  /**
   * Registers a handler. One of the same name goes on until the new one is ready; then the drain under way through it
   * ends behind the sample or batch at hand, it is flushed and closed, and the new one takes its place. Two changes of
   * one name at a time: the second is refused.
   * @param mayInstall called when time has gone by: throws if the handler may not be taken any more
   * @returns the handler, and whether the name is new
   * @throws RingbufdError HANDLER_KIND, HANDLER_CONFIG, HANDLER_CYCLE, AUTO_TAKEN, LIMIT_HANDLERS, HANDLER_CHANGING:
   *   nothing is changed then
   */
  async put(
    name: string,
    spec: HandlerSpec,
    mayInstall: () => void = () => undefined,
  ): Promise<{ registered: RegisteredHandler; created: boolean }> {
    this.#refuseSecondChange(name);
    const registered = this.#create(name, spec);
    const { handler } = registered;
    this.#refuseCycle(registered);
    this.#changing.set(name, registered);
    try {
      if (handler.shape === 'worker') await this.#prepare(handler, spec);
      mayInstall();
      const old = this.#handlers.get(name);
      if (old !== undefined) await this.#retire(old);
      mayInstall();
      this.#refuseCycle(registered);
      this.#handlers.set(name, registered);
      return { registered, created: old === undefined };
    } catch (error) {
      await handler.close();
      throw error;
    } finally {
      this.#changing.delete(name);
    }
  }

  /**
   * Removes a handler as {@link put} replaces one.
   * @throws RingbufdError NO_HANDLER, HANDLER_CHANGING
   */
  async delete(name: string): Promise<void> {
    const registered = this.get(name);
    this.#refuseSecondChange(name);
    this.#changing.set(name, null);
    try {
      await this.#retire(registered);
      this.#handlers.delete(name);
    } finally {
      this.#changing.delete(name);
    }
  }

  /** Flushes and closes all of them. */
  async close(): Promise<void> {
    await Promise.all(this.list().map(({ handler }) => handler.close()));
  }

  /** @throws RingbufdError HANDLER_KIND, HANDLER_CONFIG, AUTO_TAKEN, LIMIT_HANDLERS */
  #create(name: string, spec: HandlerSpec): RegisteredHandler {
    const { map, dataDir, handlersDir, emitTarget, webhooks, logger, clock } = this.#options;
    const { kind, trigger, onError = { policy: 'stop' }, enabled = true, shadow = false } = spec;
    const problem = onErrorProblem(onError);
    if (problem !== undefined) throw new RingbufdError('HANDLER_CONFIG', problem);
    const others = this.#others(name);
    const auto = others.find(({ trigger }) => trigger.mode === 'auto');
    if (spec.trigger.mode === 'auto' && auto !== undefined)
      throw new RingbufdError('AUTO_TAKEN', `handler "${auto.name}" has the auto trigger of map "${map}"`);
    if (shadow) this.#checkShadow(spec);
    const names = new Set(others.map((other) => other.name));
    if (names.size >= this.#options.maxHandlers)
      throw new RingbufdError('LIMIT_HANDLERS', `map "${map}" has ${names.size} other handlers`);
    const { handler, config } = createHandler(spec.kind, spec.config, {
      map,
      handler: name,
      dataDir,
      handlersDir,
      emitTarget: shadow ? (target) => emitTarget?.(target) && DROP : emitTarget,
      webhooks,
      logger,
      clock,
    });
    this.#checkClaims(handler, others);
    if (handler.shape === 'batch') handler.onReady = () => this.#options.onReady(name);
    const complete = { ...spec, onError, enabled, shadow };
    const health = new HandlerHealth(onError);
    return { name, kind, config, trigger, spec: complete, handler, retiring: false, health };
  }

  /** The handlers of other names: those that are registered, and those that are about to be. */
  #others(name: string): RegisteredHandler[] {
    const coming = [...this.#changing.values()].filter((registered) => registered !== null);
    return [...this.list(), ...coming].filter((other) => other.name !== name);
  }

  #refuseCycle(registered: RegisteredHandler): void {
    const { map, edgesOf = () => [] } = this.#options;
    refuseCycle(map, targetsOf(registered), edgesOf);
  }

  /** @throws RingbufdError HANDLER_CONFIG */
  #checkShadow(spec: HandlerSpec): void {
    const { map, mode } = this.#options;
    if (spec.trigger.mode === 'auto')
      throw new RingbufdError(
        'HANDLER_CONFIG',
        'a shadow follows the drains of the other handlers: its trigger is {"mode":"manual"}',
      );
    if (mode === 'direct')
      throw new RingbufdError(
        'HANDLER_CONFIG',
        `a shadow relies on records as a managed map stores them; map "${map}" is direct`,
      );
  }

  #refuseSecondChange(name: string): void {
    if (!this.#changing.has(name)) return;
    const { map } = this.#options;
    throw new RingbufdError(
      'HANDLER_CHANGING',
      `handler "${name}" of map "${map}" is being replaced or removed`,
    );
  }

  /** No drain begins through it from now on; when none is under way any more it is flushed and closed. */
  async #retire(registered: RegisteredHandler): Promise<void> {
    const { map, logger, endDrain } = this.#options;
    registered.retiring = true;
    await endDrain(registered);
    try {
      await registered.handler.close();
    } catch (error) {
      // What it answered for is released already: there is nothing that keeping it could save.
      logger.error({ map, handler: registered.name, err: error }, 'a handler could not be closed cleanly');
    }
  }

  /** Tries a handler out. Time goes by meanwhile. */
  async #prepare(handler: WorkerHandler, spec: HandlerSpec): Promise<void> {
    const { mode, map } = this.#options;
    if (mode === 'direct')
      throw new RingbufdError(
        'HANDLER_CONFIG',
        `kind "${spec.kind}" drains in a thread, which takes the positions of a managed map; map "${map}" is direct`,
      );
    await handler.prepare();
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

/** What a handler is doing, in one word. @param auto what its auto trigger is doing */
export function statusOf({ spec, health }: RegisteredHandler, auto: { state: string } | null): HandlerStatus {
  if (!spec.enabled) return 'disabled';
  if (health.faulted) return 'faulted';
  return auto?.state === 'backing_off' && health.lastError !== null ? 'backing_off' : 'running';
}

function targetsOf({ handler, spec: { onError } }: RegisteredHandler): string[] {
  const emitted = handler.shape === 'worker' ? handler.targets : [];
  return onError.policy === 'dead_letter' ? [...emitted, onError.map] : [...emitted];
}

/** Whether two files are the same, or one is what the other is rotated to. */
function sharesFiles(a: string, b: string): boolean {
  return a === b || isRotationOf(a, b) || isRotationOf(b, a);
}

function isRotationOf(rotated: string, file: string): boolean {
  return rotated.startsWith(`${file}.`) && /^\d+$/.test(rotated.slice(file.length + 1));
}
