/** ENOSPC, then a drain, then WAKEUP, then accepted: one round after the other, with any number of waiters. */
import { once } from 'node:events';
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

/** What one waiter goes through in a round. */
interface Waiter {
  readonly connection: FrameConnection;
  /** Number of its OUTPUT. */
  seq: number;
}

export interface WakeupRounds {
  /** From the drain's request to each waiter's WAKEUP, ms: first, median, last of each round. */
  readonly woken: readonly Spread[];
  /** From the same to the ACK of what it had to resend. */
  readonly accepted: readonly Spread[];
}

/**
 * Each round: the ring is filled to less than a record, every waiter's OUTPUT is refused with ENOSPC, one drain is asked
 * for over REST, and every waiter resends when its WAKEUP comes.
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
  for (let round = 0; round < rounds; round++) {
    await fill(daemon, map);
    await forAll(waiters, Op.ERROR, (waiter) =>
      waiter.connection.send({ op: Op.OUTPUT, seq: ++waiter.seq, atomic: false, resend: false, run }),
    );
    const wokenAt: number[] = [];
    const acceptedAt: number[] = [];
    const answered = once(rest, 'data');
    const began = performance.now();
    await new Promise<void>((resolve) => {
      for (const waiter of waiters)
        waiter.connection.onFrame = (frame) => {
          if (frame.op === Op.WAKEUP) {
            wokenAt.push(performance.now() - began);
            waiter.connection.send({ op: Op.OUTPUT, seq: waiter.seq, atomic: false, resend: true, run });
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
    woken.push(spreadOf(wokenAt));
    accepted.push(spreadOf(acceptedAt));
  }
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

/** Fills the ring until less than a record is free. */
async function fill(daemon: RunningDaemon, map: string): Promise<void> {
  const { body } = await daemon.call('GET', `/v1/maps/${map}/query`);
  const { avail_data } = body as { avail_data: string };
  const records = Math.floor((RING_BYTES - Number(avail_data)) / RECORD_BYTES);
  const response = await fetch(`http://127.0.0.1:${daemon.port}/v1/maps/${map}/samples`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.ringbuf.records' },
    body: runOf({ sampleBytes: SAMPLE_BYTES, samplesPerMessage: records }),
  });
  if (!response.ok) throw new Error(`the ring could not be filled: ${await response.text()}`);
  await response.arrayBuffer();
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
