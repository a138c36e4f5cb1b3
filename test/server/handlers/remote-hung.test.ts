/** Clients that are attached and never answer, and what the policies of their handler make of it. */
import { beforeEach, describe, expect, it } from 'vitest';
import { records } from '../../../src/ring/index.js';
import type { HandlerHealth } from '../../../src/server/handler-health.js';
import type { RemoteHandler } from '../../../src/server/handlers/remote.js';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { completeOnError, type OnErrorInput } from '../../../src/server/on-error.js';
import { decodeDeadLetter } from '../../../src/server/dead-letter-envelope.js';
import { hostMaps, store, type HostedMaps } from '../hosted.js';
import { LiteralClient, RemoteRig, result, settled } from './remote-rig.js';

const TIMEOUT_MS = 200;

let hosted: HostedMaps;
let map: HostedMap;
let dlq: HostedMap;

beforeEach(() => {
  hosted = hostMaps();
  map = hosted.maps.create('m', { maxEntries: 65_536 }).map;
  dlq = hosted.maps.create('dlq', { maxEntries: 65_536 }).map;
});

async function put(onError: OnErrorInput): Promise<void> {
  await map.putHandler('h', {
    kind: 'remote',
    config: { timeout_ms: TIMEOUT_MS },
    trigger: { mode: 'auto', flags: [], min_bytes: 1, max_delay_ms: 0 },
    onError: completeOnError(onError),
  });
}

function attach(label: string): LiteralClient {
  return new LiteralClient({ handler: map.handlers.get('h').handler as RemoteHandler, slow: [] }, label);
}

/** Lets so much time go by, in steps that are shorter than any pause or deadline. */
async function pass(ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 10) {
    hosted.clock.runAllSoon();
    hosted.clock.advance(10);
    await settled();
  }
}

const health = (): HandlerHealth => map.handlers.get('h').health;
const pauses = { backoff_min_ms: 10, backoff_max_ms: 10 };
const deadLetters = (): string[] =>
  [...records(dlq.ring)].map((record) => Buffer.from(decodeDeadLetter(record.payload())!.sample).toString());

describe('a sample that every client hangs on', () => {
  it('uses up an attempt for each deadline that passes while they are attached: retry ends in faulted', async () => {
    await put({ policy: 'retry', max_attempts: 3, ...pauses });
    const client = attach('a');
    store(map, 'x');
    await pass(3 * (TIMEOUT_MS + 20));
    expect(health()).toMatchObject({ faulted: true, attempts: 3, lastError: { errno: 'ETIMEDOUT' } });
    expect(client.said().filter((text) => text.startsWith('deliver'))).toEqual(['deliver 1 at 0: x']);
    expect(map.counters).toMatchObject({ bufferedSamples: 1, drainedSamples: 0 });
  });

  it('becomes a dead letter; what comes behind it is not to blame, and waits until somebody can be asked', async () => {
    await put({ policy: 'dead_letter', map: 'dlq', max_attempts: 2, ...pauses });
    const client = attach('a');
    store(map, 'poison');
    await pass(20);
    store(map, 'next', 'last');
    await pass(20 * TIMEOUT_MS);
    expect(deadLetters()).toEqual(['poison']);
    expect(map.counters).toMatchObject({ deadLetteredSamples: 1, bufferedSamples: 2 });
    expect(health()).toMatchObject({ attempts: 0, lastError: { errno: 'EAGAIN' } });
    const late = client.said().filter((text) => text.startsWith('deliver'));
    expect(late).toEqual(['deliver 1 at 0: poison']);
    client.answer(1, 1);
    await pass(20);
    expect(client.said()).toContain('deliver 2 at 16: next last');
  });

  it('is looked for in a batch only with somebody who can be asked for a part of it', async () => {
    await put({ policy: 'dead_letter', map: 'dlq', max_attempts: 2, ...pauses });
    const hung = attach('hung');
    store(map, 'a', 'b', 'c', 'd');
    await pass(20 * TIMEOUT_MS);
    // Asked about four at once: none of them can be told from the others.
    expect([deadLetters(), map.counters.bufferedSamples]).toEqual([[], 4]);
    expect(health().lastError?.errno).toBe('EAGAIN');
    hung.session.closed();
    const other = attach('other');
    await pass(20);
    expect(other.said().filter((text) => text.startsWith('deliver'))).toEqual(['deliver 2 at 0: a b']);
  });

  it('costs no attempt as long as nobody is attached, however long that is', async () => {
    await put({ policy: 'dead_letter', map: 'dlq', max_attempts: 2, ...pauses });
    const client = attach('a');
    store(map, 'x');
    await pass(TIMEOUT_MS + 5);
    expect(health().attempts).toBe(1);
    client.session.closed();
    await pass(20 * TIMEOUT_MS);
    expect([health().attempts, deadLetters()]).toEqual([1, []]);
    expect(health().lastError?.errno).toBe('EAGAIN');
  });
});

describe('a drain that waits for a client which hangs', () => {
  /** A client that hangs on one sample, and a second drain that waits for it. */
  async function waitingDrain(): Promise<{
    rig: RemoteRig;
    client: LiteralClient;
    drained: ReturnType<RemoteRig['drain']>;
  }> {
    const rig = new RemoteRig({ timeout_ms: TIMEOUT_MS });
    const client = rig.attach('a');
    rig.store('x');
    const first = rig.drain();
    rig.clock.advance(TIMEOUT_MS);
    await first;
    client.said();
    return { rig, client, drained: rig.drain() };
  }

  it('goes on when it answers after all', async () => {
    const { rig, client, drained } = await waitingDrain();
    client.answer(1, 1);
    await settled();
    expect(client.said()).toEqual(['active', 'deliver 2 at 0: x']);
    client.answer(2, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
    expect(rig.clock.timers).toBe(0);
  });

  it('goes on with one that attaches meanwhile', async () => {
    const { rig, drained } = await waitingDrain();
    const other = rig.attach('b');
    await settled();
    expect(other.said()).toEqual(['deliver 2 at 0: x']);
    other.answer(2, 1);
    expect(result(await drained)).toMatchObject({ ret: 1 });
  });

  it('ends with EAGAIN when it leaves: nobody is there to be waited for', async () => {
    const { rig, client, drained } = await waitingDrain();
    client.session.closed();
    expect(result(await drained)).toMatchObject({ ret: -11, why: 'no client is attached' });
    expect(rig.clock.timers).toBe(0);
  });

  it('ends at once when the handler is to go', async () => {
    const { rig, drained } = await waitingDrain();
    rig.handler.wrapUp();
    expect(result(await drained)).toMatchObject({ ret: -11 });
    expect(rig.clock.timers).toBe(0);
  });
});
