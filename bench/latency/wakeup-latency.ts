/** ENOSPC, then a drain, then WAKEUP, then accepted: one round after the other, with any number of waiters. */
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Op } from '../../src/wire/index.js';
import { openTcp } from '../websocket/link.js';
import type { RunningDaemon } from '../peers/ringbufd.js';
import { runOf } from '../peers/ringbufd-link.js';
import { FrameConnection } from './frame-connection.js';
import { SAMPLE_BYTES } from './daemon-latency.js';
import { spreadOf, type Spread } from './load.js';

const RING_BYTES = 1 << 20;
const RECORD_BYTES = 72;
const HANDLER = { kind: 'count', config: {}, trigger: { mode: 'manual' } };

/** What the clients of a round leave behind is cleared away before the next one: it is not the daemon's time. */
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as (options: { type: 'minor' }) => void;

/** What one waiter goes through in a round. */
interface Waiter {
  readonly connection: FrameConnection;
  /** Number of its OUTPUT. */
  seq: number;
}

export interface WakeupRounds {
  /**
   * From the drain's request to each waiter's WAKEUP, ms: first, median, last of each round. Nobody resends before all are
   * woken, so that it is as with the bare socket writes: what a thousand resends take is not in it.
   */
  readonly woken: readonly Spread[];
  /** In other rounds, where each waiter resends when its WAKEUP comes: to the ACK of that. */
  readonly accepted: readonly Spread[];
}

/**
 * Each round: the ring is filled to less than a record, every waiter's OUTPUT is refused with ENOSPC, one drain is asked
 * for over REST, and every waiter resends.
 * @param rounds of each kind, in turn
 */
export async function measureWakeups(
  daemon: RunningDaemon,
  map: string,
  waiterCount: number,
  rounds: number,
): Promise<WakeupRounds> {
  await daemon.call('PUT', `/v1/maps/${map}`, { max_entries: RING_BYTES });
  await daemon.call('PUT', `/v1/maps/${map}/handlers/count`, HANDLER);
  const waiters = await Promise.all(
    Array.from({ length: waiterCount }, async (): Promise<Waiter> => {
      const connection = await FrameConnection.open(daemon.port, map);
      return { connection, seq: 0 };
    }),
  );
  const rest = await openTcp(daemon.port);
  rest.resume();
  const drain = drainRequest(daemon.port, map);
  const run = runOf({ sampleBytes: SAMPLE_BYTES, samplesPerMessage: 1 });
  const woken: Spread[] = [];
  const accepted: Spread[] = [];
  await forAll(waiters, Op.DONE, ({ connection }) =>
    connection.send({ op: Op.WATCH, seq: 0n, on: true, minFree: RECORD_BYTES }),
  );
  const filler = new Filler(await FrameConnection.open(daemon.port, map));
  for (let round = 0; round < 2 * rounds; round++) {
    const atOnce = round % 2 === 1;
    await filler.fill();
    await forAll(waiters, Op.ERROR, (waiter) =>
      waiter.connection.send({ op: Op.OUTPUT, seq: ++waiter.seq, atomic: false, resend: false, run }),
    );
    collectGarbage({ type: 'minor' });
    const wokenAt: number[] = [];
    const acceptedAt: number[] = [];
    const resend = ({ connection, seq }: Waiter): void =>
      connection.send({ op: Op.OUTPUT, seq, atomic: false, resend: true, run });
    const answered = once(rest, 'data');
    const began = performance.now();
    await new Promise<void>((resolve) => {
      for (const waiter of waiters)
        waiter.connection.onFrame = (frame) => {
          if (frame.op === Op.WAKEUP) {
            wokenAt.push(performance.now() - began);
            if (atOnce) resend(waiter);
            else if (wokenAt.length === waiterCount) waiters.forEach(resend);
          } else if (frame.op === Op.ACK) {
            acceptedAt.push(performance.now() - began);
            if (acceptedAt.length === waiterCount) resolve();
          }
        };
      rest.write(drain);
    });
    await answered;
    if (wokenAt.length < waiterCount)
      throw new Error(`${wokenAt.length} of ${waiterCount} waiters were woken`);
    if (atOnce) accepted.push(spreadOf(acceptedAt));
    else woken.push(spreadOf(wokenAt));
  }
  filler.close();
  for (const { connection } of waiters) connection.close();
  rest.destroy();
  await daemon.call('DELETE', `/v1/maps/${map}`);
  return { woken, accepted };
}

/** Sends something on every connection and waits until each has been answered with `op`. */
async function forAll(waiters: readonly Waiter[], op: number, send: (waiter: Waiter) => void): Promise<void> {
  await Promise.all(
    waiters.map(
      (waiter) =>
        new Promise<void>((resolve) => {
          waiter.connection.onFrame = (frame) => {
            if (frame.op === op) resolve();
          };
          send(waiter);
        }),
    ),
  );
}

/** Samples of one frame that fills. */
const FILL_SAMPLES = 909;

/** Fills a ring until less than a record is free, as a producer of its own. */
class Filler {
  readonly #connection: FrameConnection;
  readonly #run = runOf({ sampleBytes: SAMPLE_BYTES, samplesPerMessage: FILL_SAMPLES });
  #seq = 0;
  /** Whether the last frame was refused in part: it comes again, as new. */
  #open = false;

  constructor(connection: FrameConnection) {
    this.#connection = connection;
  }

  async fill(): Promise<void> {
    for (;;) {
      if (!this.#open) this.#seq++;
      const answer = await new Promise<number>((resolve) => {
        this.#connection.onFrame = (frame) => {
          if (frame.op === Op.ACK || frame.op === Op.ERROR) resolve(frame.op);
        };
        this.#connection.send({
          op: Op.OUTPUT,
          seq: this.#seq,
          atomic: false,
          resend: false,
          run: this.#run,
        });
      });
      this.#open = answer === Op.ERROR;
      if (this.#open) return;
    }
  }

  close(): void {
    this.#connection.close();
  }
}

/** A drain as bytes: what an HTTP client of its own would add is not the daemon's. */
function drainRequest(port: number, map: string): string {
  const body = JSON.stringify({ handler: 'count', flags: [], ctx: {} });
  return [
    `POST /v1/maps/${map}/drain HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}
