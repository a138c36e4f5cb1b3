/**
 * One named map: a ring with its producers' states, reservations, waiting connections, watchers and handlers.
 * The only caller of drains (map-drains.ts).
 */
import type { Logger } from 'pino';
import { createUserRing, Producer, type UserRing } from '../ring/index.js';
import type { Clock } from './clock.js';
import type { ConnectedProducer } from './connected-producer.js';
import { deadLetterTarget, type DeadLetterTarget } from './dead-letter-target.js';
import { RingbufdError } from './errors.js';
import type { EdgesOf } from './handler-graph.js';
import type { EmitTarget } from './handlers/index.js';
import { HandlerTable, type HandlerSpec, type RegisteredHandler } from './handler-table.js';
import { MapLedger } from './ledger/map-ledger.js';
import type { MapAttributes, MapSettings } from './map-attributes.js';
import { MapCheckpoint } from './map-checkpoint.js';
import { MapCounters } from './map-counters.js';
import type { Journal, JournalFinding, Quarantine } from './journal/journal.js';
import type { DrainBounds, DrainResult } from './drain-call.js';
import { MapDrains } from './map-drains.js';
import { MapIntake } from './map-intake.js';
import { MapJournal, type JournalledMap } from './map-journal.js';
import type { MapObserver } from './map-observer.js';
import { MapShadows } from './map-shadows.js';
import { OldestSample } from './oldest-sample.js';
import { ProducerStates } from './producer-states.js';
import { noteFindings } from './start-findings.js';
import { takeUpBooks, type SetAside } from './recovered-books.js';
import type { ShadowReport } from './shadow.js';
import { Replay, type ReplayRequest, type UnreleasedLetters } from './replay.js';
import { SpaceQueue } from './space-queue.js';
import { neverFires } from './trigger.js';
import { WakeupHub } from './wakeup-hub.js';

/** Advice to a producer that found the ring full: a map that drains itself has room sooner. */
const RETRY_AFTER_AUTO_MS = 50;
const RETRY_AFTER_MANUAL_MS = 1000;

export class HostedMap {
  readonly name: string;
  readonly attributes: MapAttributes;
  /** Random; new at each create and each loss of content. */
  readonly incarnation: string;
  readonly createdAtMs: number;
  readonly ring: UserRing;
  /** Absent: the map is in memory only, everything is as durable as it will get at once. */
  readonly journal: MapJournal | undefined;
  /** What the start has found damaged and set aside. */
  readonly quarantined: readonly Quarantine[];
  /** What else was wrong with the journal at the start. */
  readonly findings: readonly JournalFinding[];
  readonly counters = new MapCounters();
  readonly ledger: MapLedger;
  readonly states: ProducerStates;
  readonly intake: MapIntake;
  readonly handlers: HandlerTable;
  readonly watchers: WakeupHub;
  readonly waiting: SpaceQueue;
  readonly connections = new Set<ConnectedProducer>();
  readonly settings: MapSettings;
  readonly #clock: Clock;
  readonly #observer: MapObserver<HostedMap>;
  readonly #deadLetterTarget: (map: string) => DeadLetterTarget | undefined;
  readonly #unreleasedLetters: UnreleasedLetters = new Map();
  readonly #drains: MapDrains;
  readonly #shadows: MapShadows;
  readonly #oldest = new OldestSample();
  #closed = false;

  constructor(
    name: string,
    attributes: MapAttributes,
    settings: MapSettings,
    deps: {
      clock: Clock;
      logger: Logger;
      observer: MapObserver<HostedMap>;
      /** The other maps, for handlers that emit into them. */
      emitTarget: (map: string) => EmitTarget | undefined;
      /** The other maps, for dead letters. */
      deadLetterTarget: (map: string) => DeadLetterTarget | undefined;
      /** The graph of handlers of all maps. */
      edgesOf: EdgesOf;
      /** Resolves once what is in these maps is durable. */
      targetsSettled: (maps: readonly string[]) => Promise<void>;
      incarnation: string;
      journal?: Journal | undefined;
    },
  ) {
    this.name = name;
    this.attributes = attributes;
    this.settings = settings;
    this.#clock = deps.clock;
    this.#observer = deps.observer;
    this.#deadLetterTarget = deps.deadLetterTarget;
    const { journal } = deps;
    const journalled = journal !== undefined;
    this.ring = createUserRing(
      { maxEntries: attributes.maxEntries },
      { mode: attributes.mode, journalled, ...(journal && { memory: (bytes) => journal.allocate(bytes) }) },
    );
    this.journal =
      journal && new MapJournal({ ...deps, map: name, ring: this.ring, journal, counters: this.counters });
    const recovered = this.journal?.recover();
    this.incarnation = recovered?.incarnation ?? deps.incarnation;
    this.createdAtMs = journal?.createdMs ?? deps.clock.wallMs();
    this.quarantined = recovered?.quarantined ?? [];
    this.findings = journal?.findings ?? [];
    noteFindings(name, this, this.counters, deps.logger);
    const producer = new Producer(this.ring);
    this.ledger = new MapLedger(this.ring, attributes.ledger, settings.maxLedgerRuns, journalled);
    this.states = new ProducerStates(
      deps.clock,
      settings.maxProducers,
      settings.stateTtlMs,
      (id) => {
        this.ledger.forget(id);
        this.journal?.forget(id);
      },
      journalled,
    );
    let setAside: SetAside[] = [];
    if (recovered !== undefined) {
      this.states.restore(recovered.producers);
      setAside = takeUpBooks(this.counters, this.ledger, recovered, this.ring);
      if (this.ring.used > 0) this.#oldest.note(this.ring.consumerLow, deps.clock.nowMs());
    }
    this.waiting = new SpaceQueue(this.ring, producer, () => this.journal?.blocked ?? false);
    this.waiting.beforeStore = () => this.ledger.beforeStore();
    const room = (): number => this.waiting.roomForNewcomers;
    this.watchers = new WakeupHub(this.ring, room, this.counters, deps.clock);
    this.intake = new MapIntake(producer, this.waiting, {
      map: name,
      ring: this.ring,
      counters: this.counters,
      ledger: this.ledger,
      journal: this.journal,
      oldest: this.#oldest,
      watchers: this.watchers,
      clock: deps.clock,
      leaseMs: settings.leaseMs,
      maxReservations: settings.maxReservationsPerConnection,
      retryAfterMs: () => this.retryAfterMs,
      drainNumber: () => this.drainNumber,
      // What is not durable is nothing to drain yet.
      onChanged: () => (this.journal === undefined ? deps.observer.changed(this) : this.journal.changed()),
    });
    this.handlers = new HandlerTable({
      map: name,
      mode: attributes.mode,
      dataDir: settings.dataDir,
      handlersDir: settings.handlersDir,
      emitTarget: deps.emitTarget,
      edgesOf: deps.edgesOf,
      webhooks: settings.webhooks,
      logger: deps.logger,
      clock: deps.clock,
      onReady: (handler) => deps.observer.handlerReady(this, handler),
      maxHandlers: settings.maxHandlers,
      maxDiskBytes: settings.maxDiskBytes,
      endDrain: async (registered) => {
        await this.#shadows.remove(registered);
        await this.#drains.endThrough(registered);
      },
    });
    this.#shadows = new MapShadows({
      map: name,
      incarnation: this.incarnation,
      ring: this.ring,
      queueBytes: settings.shadowQueueBytes,
      counters: this.counters,
      clock: deps.clock,
    });
    this.#drains = new MapDrains({
      map: name,
      incarnation: this.incarnation,
      ring: this.ring,
      counters: this.counters,
      ledger: this.ledger,
      journal: this.journal,
      setAside,
      watchers: this.watchers,
      oldest: this.#oldest,
      shadows: this.#shadows,
      clock: deps.clock,
      logger: deps.logger,
      deadLetterTarget: deps.deadLetterTarget,
      onBatch: (registered, seconds) => deps.observer.batched(this, registered.name, seconds),
      onFault: () => deps.observer.triggerChanged(this),
      onConsumerMoved: () => this.waiting.serve(),
      targetsSettled: deps.targetsSettled,
      onEnded: (registered, seconds) => deps.observer.drained(this, registered.name, seconds),
    });
    this.journal?.serve(this.#journalled());
  }

  get draining(): boolean {
    return this.#drains.busy;
  }

  /** Number of the last drain. */
  get drainNumber(): number {
    return this.#drains.number;
  }

  /** The consumer position that the counters and the ledger belong to: a drain in a thread may be ahead of them. */
  get bookedPosition(): bigint {
    return this.#drains.bookedPosition;
  }

  /**
   * Resolves once everything that is in the map now is at its durability: at once without a journal.
   * @throws RingbufdError JOURNAL_FAILED
   */
  settled(): Promise<void> {
    return this.journal?.settled() ?? Promise.resolve();
  }

  get openReservations(): number {
    return this.intake.openReservations;
  }

  /** Milliseconds that the oldest sample has waited; null on a direct map, where nobody knows. */
  get oldestAgeMs(): number | null {
    if (this.attributes.mode === 'direct') return null;
    return this.ring.used === 0 ? 0 : this.#oldest.ageMs(this.#clock.nowMs());
  }

  /** When a producer that found the ring full should try again, in ms. */
  get retryAfterMs(): number {
    return this.handlers.auto?.spec.enabled ? RETRY_AFTER_AUTO_MS : RETRY_AFTER_MANUAL_MS;
  }

  /**
   * One drain through a registered handler, see {@link MapDrains.run}.
   * @throws RingbufdError NO_HANDLER, HANDLER_DISABLED, HANDLER_SHADOW, HANDLER_CTX: nothing was drained
   */
  drain(name: string, flags: number, ctx: unknown, bounds?: DrainBounds): DrainResult | Promise<DrainResult> {
    const registered = this.handlers.get(name);
    if (!registered.spec.enabled) {
      this.counters.refuse('EAGAIN', 'handler_disabled');
      throw new RingbufdError('HANDLER_DISABLED', `handler "${name}" of map "${this.name}" is disabled`);
    }
    if (registered.spec.shadow)
      throw new RingbufdError('HANDLER_SHADOW', `handler "${name}" is a shadow: it consumes nothing`);
    return this.#drains.run(registered, flags, ctx, bounds);
  }

  /**
   * Lets drains go through a handler, or none any more; the drain under way ends by itself. Enabling forgets a fault and
   * what led to it, also where the handler was enabled before.
   * @throws RingbufdError NO_HANDLER
   */
  enableHandler(name: string, enabled: boolean): RegisteredHandler {
    const registered = this.handlers.get(name);
    registered.spec = { ...registered.spec, enabled };
    this.#shadows.enable(registered, enabled);
    if (enabled) registered.health.reset();
    this.#observer.triggerChanged(this);
    if (enabled) {
      this.#observer.handlerReady(this, name);
      this.#observer.changed(this);
    }
    return registered;
  }

  /**
   * Sends dead letters that lie in this map back.
   * @returns what the drain came to that took them out, and how many went to which map
   */
  async replay(request: ReplayRequest): Promise<{ result: DrainResult; sent: ReadonlyMap<string, number> }> {
    const replay = new Replay(request, {
      map: this.name,
      incarnation: this.incarnation,
      clock: this.#clock,
      target: this.#deadLetterTarget,
      unreleased: this.#unreleasedLetters,
    });
    const result = await this.#drains.run(replay.registered, 0, {});
    this.counters.replayedSamples += result.drained;
    return { result, sent: replay.sent };
  }

  /** Where handlers of other maps put their dead letters. `undefined` once the map is closed. */
  deadLetterTarget(): DeadLetterTarget | undefined {
    if (this.#closed) return undefined;
    const { incarnation, intake, states, journal, ledger } = this;
    return deadLetterTarget({ incarnation, intake, states, journal, line: ledger.daemon });
  }

  /** How a shadow does; `undefined` for a handler that drains. */
  shadowReport(registered: RegisteredHandler): ShadowReport | undefined {
    return this.#shadows.reportOf(registered);
  }

  /**
   * Registers a handler, also while a drain is under way: see {@link HandlerTable.put}.
   * @throws RingbufdError HANDLER_CONFIG, NO_MAP when the map was deleted meanwhile, and what {@link HandlerTable.put} throws
   */
  async putHandler(
    name: string,
    spec: HandlerSpec,
  ): Promise<{ registered: RegisteredHandler; created: boolean }> {
    if (spec.trigger.mode === 'auto' && neverFires(spec.trigger, this.ring.size))
      throw new RingbufdError(
        'HANDLER_CONFIG',
        `trigger.min_bytes is ${spec.trigger.min_bytes}, the ring has ${this.ring.size} and max_delay_ms is 0: it would never drain`,
      );
    const result = await this.#countingRefusal(
      this.handlers.put(name, spec, () => {
        if (this.#closed) throw new RingbufdError('NO_MAP', `map "${this.name}" was deleted meanwhile`);
      }),
    );
    if (result.registered.spec.shadow) this.#shadows.add(result.registered);
    this.#observer.triggerChanged(this);
    this.#observer.changed(this);
    return result;
  }

  /**
   * Removes a handler, also while a drain is under way: see {@link HandlerTable.delete}.
   * @throws RingbufdError NO_HANDLER, HANDLER_CHANGING
   */
  async deleteHandler(name: string): Promise<void> {
    await this.#countingRefusal(this.handlers.delete(name));
    this.#observer.triggerChanged(this);
    this.#observer.handlerRemoved(this, name);
  }

  /** Whether the map is gone: late callers find out. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Disconnects everybody and lets go of everything.
   * @throws RingbufdError MAP_BUSY during a drain
   */
  async close(key: 'NO_MAP' | 'SHUTTING_DOWN'): Promise<void> {
    this.#refuseDuringDrain();
    this.#closed = true;
    for (const connection of [...this.connections]) connection.disconnect(key);
    this.intake.close();
    this.#observer.closed(this);
    try {
      await this.#shadows.close();
      await this.handlers.close();
    } finally {
      // What a full disk does not take any more goes with a map that was deleted.
      await this.journal?.close().catch((error: unknown) => {
        if (key === 'SHUTTING_DOWN') throw error;
      });
    }
  }

  #journalled(): JournalledMap {
    const checkpoint = new MapCheckpoint(
      this.#drains,
      this.counters,
      this.ledger,
      this.ring.consumerPosition,
    );
    return {
      checkpoint: () => checkpoint.take(),
      booksOf: (producer) => this.ledger.booksOf(producer),
      stateOf: (producer) => this.states.get(producer),
      committed: () => this.waiting.serve(),
      followed: (wasFull) => {
        // Room that comes back without a drain wakes as FORCE does.
        if (wasFull) void this.watchers.wake(true, 0, this.drainNumber);
        this.#observer.changed(this);
        if (wasFull && this.handlers.auto !== undefined)
          this.#observer.handlerReady(this, this.handlers.auto.name);
      },
      failed: () => {
        for (const connection of [...this.connections]) connection.disconnect('JOURNAL_FAILED');
      },
    };
  }

  async #countingRefusal<Result>(change: Promise<Result>): Promise<Result> {
    try {
      return await change;
    } catch (error) {
      if (error instanceof RingbufdError && error.key === 'HANDLER_CHANGING')
        this.counters.refuse('EBUSY', 'handler_changing');
      throw error;
    }
  }

  #refuseDuringDrain(): void {
    if (!this.draining) return;
    this.counters.refuse('EBUSY', 'map_busy');
    this.#observer.foundBusy(this);
    throw new RingbufdError('MAP_BUSY', `map "${this.name}" is being drained`);
  }
}
