/**
 * Runs the auto triggers. Each map with one is idle, waiting for a timer, or in the queue; maps in the queue get a
 * turn each, in order and by deficit round robin in time (time-share.ts). A turn is one drain with a budget of records and
 * of time (turn-budget.ts). Between turns the event loop does everything else, so that a hot map starves neither a cold one
 * nor /livez.
 */
import { BPF_MAX_USER_RINGBUF_SAMPLES } from '../ring/index.js';
import type { Clock } from './clock.js';
import { flagsFromNames } from './drain-flags.js';
import { RingbufdError } from './errors.js';
import type { RegisteredHandler } from './handler-table.js';
import type { HostedMap } from './hosted-map.js';
import type { DrainResult } from './drain-call.js';
import { TimeShare } from './time-share.js';
import type { Trigger } from './trigger.js';
import { TurnBudget, TurnPace } from './turn-budget.js';

type AutoTrigger = Extract<Trigger, { mode: 'auto' }>;

export interface SchedulerSettings {
  /** Time that a round grants to each map, and after which the event loop goes first. */
  turnTimeMs: number;
  /** Bound on the loop turns of one drain. */
  maxTurnSamples: number;
  backoffMinMs: number;
  backoffMaxMs: number;
}

/** The auto trigger of one map. */
interface AutoDrain {
  readonly map: HostedMap;
  readonly registered: RegisteredHandler;
  readonly trigger: AutoTrigger;
  readonly flags: number;
  /** `parked`: nothing to do until something changes. */
  state: 'parked' | 'queued' | 'draining' | 'backing_off';
  /** Cancels the max_delay timer or the back-off. */
  cancelTimer: (() => void) | undefined;
  backoffMs: number;
  /** Something changed during a drain. */
  changed: boolean;
  readonly share: TimeShare;
  readonly pace: TurnPace;
  /** Before this moment no drain begins. */
  heldUntilMs: number;
}

/** Time that an operator has to try again what a drain was in the way of, in ms. */
const HOLD_MS = 1000;
/** Records of one drain through a handler that is awaited: about a second of a slow sink. */
const AWAITED_TURN_SAMPLES = 8192;

export class DrainScheduler {
  readonly #clock: Clock;
  readonly #settings: SchedulerSettings;
  readonly #random: () => number;
  readonly #autos = new Map<HostedMap, AutoDrain>();
  #queue: AutoDrain[] = [];
  /** Time of the loop that all turns so far have taken. */
  #takenMs = 0;
  /** Time granted so far to a map that was in the queue all along. */
  #grantedMs = 0;
  #scheduled = false;
  #flushing = false;
  #stopped = false;

  /** @param random a number from 0 to below 1, for the jitter of pauses */
  constructor(clock: Clock, settings: SchedulerSettings, random: () => number = Math.random) {
    this.#clock = clock;
    this.#settings = settings;
    this.#random = random;
  }

  /** The map's auto trigger may be new, other, or gone. */
  triggerChanged(map: HostedMap): void {
    const { auto } = map.handlers;
    const registered = auto?.spec.enabled === true && !auto.health.faulted ? auto : undefined;
    // Another handler of the map has changed: nothing that this one is doing is touched.
    if (registered !== undefined && this.#autos.get(map)?.registered === registered) return;
    this.forget(map);
    if (registered?.trigger.mode !== 'auto' || map.closed || this.#stopped) return;
    this.#autos.set(map, {
      map,
      registered,
      trigger: registered.trigger,
      flags: flagsFromNames(registered.trigger.flags),
      state: 'parked',
      cancelTimer: undefined,
      backoffMs: 0,
      changed: false,
      share: new TimeShare(this.#settings.turnTimeMs),
      pace: new TurnPace(),
      heldUntilMs: 0,
    });
  }

  /** There may be something to drain in this map. Called for every frame, so it does next to nothing when it may. */
  changed(map: HostedMap): void {
    const auto = this.#autos.get(map);
    if (auto === undefined || auto.state === 'queued' || auto.state === 'backing_off') return;
    if (auto.state === 'draining') auto.changed = true;
    else this.#consider(auto);
  }

  /** The map goes away, or its trigger does. */
  forget(map: HostedMap): void {
    const auto = this.#autos.get(map);
    if (auto === undefined) return;
    this.#autos.delete(map);
    auto.cancelTimer?.();
    this.#queue = this.#queue.filter((queued) => queued !== auto);
  }

  /** What the trigger of a map is doing, for operators. */
  stateOf(map: HostedMap): { state: string; backoff_ms: number } | null {
    const auto = this.#autos.get(map);
    if (auto === undefined) return null;
    const state = auto.state === 'parked' && auto.cancelTimer !== undefined ? 'waiting_for_age' : auto.state;
    return { state, backoff_ms: auto.backoffMs };
  }

  /**
   * An operator found the map busy and will try again: the next drain begins a little later, or under steady load there
   * would never be a moment between two.
   */
  hold(map: HostedMap): void {
    const auto = this.#autos.get(map);
    if (auto !== undefined) auto.heldUntilMs = this.#clock.nowMs() + HOLD_MS;
  }

  /** What a handler refused it could take now: no reason to back off any longer. */
  ready(map: HostedMap, handler: string): void {
    const auto = this.#autos.get(map);
    if (auto?.state !== 'backing_off' || auto.registered.name !== handler) return;
    auto.backoffMs = 0;
    auto.registered.health.ready();
    this.#enqueue(auto);
  }

  /** From now on triggers wait for nothing: what is in the rings is drained, however little it is. */
  flush(): void {
    this.#flushing = true;
    for (const auto of this.#autos.values()) if (auto.state === 'parked') this.#consider(auto);
  }

  /** Whether the trigger of a map has a drain before it: now, in the queue, or after its back-off. */
  isBusy(map: HostedMap): boolean {
    const state = this.#autos.get(map)?.state;
    return state !== undefined && state !== 'parked';
  }

  /** Ends all triggers; a drain under way ends by itself. */
  stop(): void {
    this.#stopped = true;
    for (const map of [...this.#autos.keys()]) this.forget(map);
  }

  /** Queues a parked map if its trigger's condition holds, or starts the clock for its max_delay. */
  #consider(auto: AutoDrain): void {
    const { map, trigger } = auto;
    const used = map.ring.available;
    // A direct map whose positions are absurd has nothing that a drain could use.
    if (used === 0 || used > map.ring.size) return;
    if (used >= trigger.min_bytes || this.#flushing) {
      this.#enqueue(auto);
    } else if (trigger.max_delay_ms > 0 && auto.cancelTimer === undefined) {
      // The oldest sample may have come while the last drain was still busy with others.
      const delay = trigger.max_delay_ms - (map.oldestAgeMs ?? 0);
      if (delay <= 0) this.#enqueue(auto);
      else auto.cancelTimer = this.#clock.after(delay, () => this.#enqueue(auto));
    }
  }

  #enqueue(auto: AutoDrain): void {
    auto.cancelTimer?.();
    auto.cancelTimer = undefined;
    const heldMs = auto.heldUntilMs - this.#clock.nowMs();
    if (heldMs > 0) {
      auto.state = 'backing_off';
      auto.cancelTimer = this.#clock.after(heldMs, () => this.#enqueue(auto));
      return;
    }
    auto.state = 'queued';
    auto.share.rejoin(this.#fairMs);
    this.#queue.push(auto);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => this.#round());
  }

  /** Turns for the maps in the queue, until the time of one turn is used up; then the event loop goes first. */
  #round(): void {
    this.#scheduled = false;
    const end = this.#clock.nowMs() + this.#settings.turnTimeMs;
    this.#skipIdleRounds();
    for (let left = this.#queue.length; left > 0; left--) {
      const auto = this.#queue.shift();
      if (auto === undefined) break;
      auto.share.grant();
      this.#grantedMs += this.#settings.turnTimeMs / (this.#queue.length + 1);
      if (!auto.share.mayTurn) {
        this.#queue.push(auto);
        continue;
      }
      this.#turn(auto);
      if (this.#clock.nowMs() >= end) break;
    }
    if (this.#queue.length > 0) this.#schedule();
  }

  /** Rounds in which nobody could have a turn need not be waited for. */
  #skipIdleRounds(): void {
    const rounds = Math.min(...this.#queue.map(({ share }) => share.roundsToWait));
    if (rounds === 0 || rounds === Infinity) return;
    for (const { share } of this.#queue) share.grant(rounds);
    this.#grantedMs += rounds * this.#settings.turnTimeMs;
  }

  #turn(auto: AutoDrain): void {
    auto.state = 'draining';
    auto.changed = false;
    const { map, registered, flags } = auto;
    const turn = this.#budgetOf(auto);
    turn.resume();
    let result: DrainResult | Promise<DrainResult>;
    try {
      result = map.drain(registered.name, flags, {}, { turn });
    } catch (error) {
      turn.pause();
      this.#failed(auto, error);
      return;
    }
    turn.pause();
    if (result instanceof Promise) {
      auto.share.leave(this.#fairMs);
      result.then(
        (value) => {
          turn.pause();
          this.#drained(auto, value);
        },
        (error: unknown) => {
          turn.pause();
          this.#failed(auto, error);
        },
      );
    } else {
      this.#drained(auto, result);
    }
  }

  #budgetOf({ registered, pace, share }: AutoDrain): TurnBudget {
    const { turnTimeMs, maxTurnSamples } = this.#settings;
    const awaited = registered.handler.shape !== 'sample';
    // A handler that is awaited leaves the loop to others by itself, but each of its drains costs more than one that is not.
    const limits = awaited
      ? {
          maxTurns: Math.min(AWAITED_TURN_SAMPLES, maxTurnSamples),
          timeMs: Math.max(share.turnMs, turnTimeMs),
        }
      : { maxTurns: Math.min(maxTurnSamples, BPF_MAX_USER_RINGBUF_SAMPLES), timeMs: share.turnMs };
    return new TurnBudget(this.#clock, pace, limits, (ms) => {
      share.charge(ms);
      this.#takenMs += ms;
    });
  }

  /**
   * Time as it goes by for a map that is not in the queue: what nobody took of the loop, and of what the others took one
   * map's share.
   */
  get #fairMs(): number {
    return this.#clock.nowMs() - this.#takenMs + this.#grantedMs;
  }

  #drained(auto: AutoDrain, result: DrainResult): void {
    if (this.#autos.get(auto.map) !== auto) return;
    const turns = result.drained + result.discarded + result.deadLettered;
    // A drain ends behind a dead letter: what is left would have been its own.
    const wasBounded = result.cut || result.deadLettered > 0;
    if (turns > 0) auto.backoffMs = 0;
    if (result.ret < 0) {
      this.#backOff(auto);
      return;
    }
    auto.state = 'parked';
    if (turns > 0 && !result.stopped && wasBounded && auto.map.ring.available > 0) {
      this.#enqueue(auto);
      return;
    }
    auto.share.leave(this.#fairMs);
    // After a verdict 1, and after a drain that released nothing, only a change is a reason to drain again.
    if (auto.changed || (turns > 0 && !result.stopped)) this.#consider(auto);
  }

  #failed(auto: AutoDrain, error: unknown): void {
    if (!(error instanceof RingbufdError)) throw error;
    if (this.#autos.get(auto.map) === auto) this.#backOff(auto);
  }

  /** After an errno: as long as the handler's policy says, until a drain releases something. */
  #backOff(auto: AutoDrain): void {
    auto.backoffMs = Math.round(auto.registered.health.pauseMs(this.#settings, this.#random()));
    auto.state = 'backing_off';
    auto.share.leave(this.#fairMs);
    auto.cancelTimer = this.#clock.after(auto.backoffMs, () => this.#enqueue(auto));
  }
}
