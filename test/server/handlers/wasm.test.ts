import { describe, expect, it } from 'vitest';
import { BPF_RB_NO_WAKEUP } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import { TurnBudget, TurnPace } from '../../../src/server/turn-budget.js';
import { store } from '../hosted.js';
import { until } from '../../support/until.js';
import { buildWasm, handlerParts, op, type WasmParts } from '../../support/wasm-builder.js';
import { drain, left, useWorkerRig } from './worker-rig.js';

const rig = useWorkerRig();
const base64 = (parts: WasmParts): string => Buffer.from(buildWasm(parts)).toString('base64');

/** When the sample begins with this letter. */
const when = (letter: string, ...body: number[][]): number[] => [
  ...op.get(0),
  ...op.load8,
  ...op.const(letter.charCodeAt(0)),
  ...op.equal,
  ...op.if(...body),
];

/** A module that does what the first letter of the sample says, and takes anything else. */
const HOSTILE = base64(
  handlerParts(
    [
      ...when('L', op.forever),
      ...when('T', op.unreachable),
      ...when('W', op.const(2), op.return),
      ...when('N', op.const(-1), op.return),
      ...when('S', op.const(1), op.return),
      // Memory by 960 pages (60 MiB): answers 1 if that was refused, 0 if it was granted.
      ...when('G', op.const(960), op.grow, op.const(-1), op.equal, op.return),
      ...when('R', op.get(0), op.get(1), op.call(0), op.drop),
      ...op.const(0),
    ],
    { bufferSize: 64 },
  ),
);

describe('a wasm handler', () => {
  it('drains a managed ring in place, in its own thread', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['one', 'two', '', 'four']);
    expect(await drain(map)).toMatchObject({ ret: 4, drained: 4, stopped: false, wakeup: true });
    expect(left(map)).toEqual([]);
    expect(map.ring.shared).toBe(true);
    store(map, 'five');
    expect(await drain(map, {}, BPF_RB_NO_WAKEUP)).toMatchObject({ ret: 1, wakeup: false });
    expect(map.handlers.get('h').handler.state()).toMatchObject({ samples: 5, starts: 1, thread: 'ready' });
  });

  it('is refused on a direct map, whose positions may be anything', async () => {
    const map = rig.newMap({ mode: 'direct' });
    const put = map.putHandler('h', {
      kind: 'wasm',
      config: { module: HOSTILE },
      trigger: { mode: 'manual' },
    });
    await expect(put).rejects.toThrow(/direct/);
    expect(map.handlers.list()).toEqual([]);
  });

  it('stops after a verdict 1, whose sample is released', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['a', 'S', 'b']);
    expect(await drain(map)).toMatchObject({ ret: 2, drained: 2, stopped: true });
    expect(left(map)).toEqual(['b']);
  });

  it('drains no more turns than it is told to', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['a', 'b', 'c']);
    expect(await map.drain('h', 0, {}, { maxTurns: 2 })).toMatchObject({ ret: 2, cut: true });
    expect(left(map)).toEqual(['c']);
  });

  it('charges its map, behind the wait for the thread, too, and not with the wait itself', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['a', 'b', 'c']);
    // Time goes by only while somebody looks at it: each stretch takes 1 ms.
    let now = 0;
    const clock = { ...systemClock, nowMs: () => now++ };
    const stretches: number[] = [];
    const limits = { maxTurns: 8192, timeMs: Infinity };
    const turn = new TurnBudget(clock, new TurnPace(), limits, (ms) => stretches.push(ms));
    turn.resume();
    const drained = map.drain('h', 0, {}, { turn });
    turn.pause();
    const before = stretches.length;
    expect(await drained).toMatchObject({ ret: 3, cut: false });
    turn.pause();
    expect(stretches.length).toBeGreaterThan(before);
  });

  it('skips discarded records and counts them', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['a']);
    const holder = { openReservations: 0 };
    for (const size of [3, 5]) map.intake.discard(holder, map.intake.reserve(holder, size));
    store(map, 'b');
    map.intake.discard(holder, map.intake.reserve(holder, 8));
    expect(await drain(map)).toMatchObject({ ret: 2, drained: 2, discarded: 3 });
    expect(left(map)).toEqual([]);
  });

  it('holds the busy bit meanwhile: another drain gets EBUSY', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['a']);
    const first = drain(map);
    expect(await drain(map)).toMatchObject({ ret: -16, number: 0 });
    expect(await first).toMatchObject({ ret: 1 });
  });

  it('that loops for ever costs one drain its budget, and goes on with a new thread', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE, budget_ms: 1000 }, ['a', 'L', 'b']);
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 1, wakeup: true });
    expect(left(map)).toEqual(['L', 'b']);
    expect(map.draining).toBe(false);
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 0, wakeup: false });
    expect(left(map)).toEqual(['L', 'b']);
    expect(map.handlers.get('h').handler.state()).toMatchObject({ starts: 2, timeouts: 2, thread: 'none' });
    await map.putHandler('h', { kind: 'count', config: {}, trigger: { mode: 'manual' } });
    expect(await drain(map)).toMatchObject({ ret: 2 });
  });

  it.each([
    ['traps', 'T', -5, 2, /unreachable/],
    ['recurses without end', 'R', -5, 2, /stack/i],
    ['answers 2', 'W', -22, 1, /answered 2/],
    ['answers -1', 'N', -22, 1, /answered -1/],
  ])('that %s ends the drain, its sample not released', async (_what, letter, errno, starts, message) => {
    const parts = handlerParts([
      ...when('T', op.unreachable),
      ...when('R', op.get(0), op.get(1), op.call(0), op.drop),
      ...when('W', op.const(2), op.return),
      ...when('N', op.const(-1), op.return),
      ...op.const(0),
    ]);
    const map = await rig.handled('wasm', { module: base64(parts) }, ['a', letter, 'b']);
    const result = await drain(map);
    expect(result).toMatchObject({ ret: errno, drained: 1 });
    expect((result.error as Error).message).toMatch(message);
    expect(left(map)).toEqual([letter, 'b']);
    expect(await drain(map)).toMatchObject({ ret: errno, drained: 0 });
    expect(map.handlers.get('h').handler.state()).toMatchObject({ starts });
  });

  it('cannot grow its memory over memory_mb, whatever maximum it declares', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE, memory_mb: 16 }, ['G', 'a']);
    expect(await drain(map)).toMatchObject({ ret: 1, stopped: true });
    await map.putHandler('h', {
      kind: 'wasm',
      config: { module: HOSTILE, memory_mb: 64 },
      trigger: { mode: 'manual' },
    });
    store(map, 'G', 'a');
    expect(await drain(map)).toMatchObject({ ret: 3, stopped: false });
  });

  it('is given no sample that is larger than its buffer: E2BIG, not released', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, ['a', 'x'.repeat(64), 'x'.repeat(65), 'b']);
    const result = await drain(map);
    expect(result).toMatchObject({ ret: -7, drained: 2 });
    expect((result.error as Error).message).toMatch(/65 bytes.*64/);
    expect(left(map)).toEqual(['x'.repeat(65), 'b']);
  });

  it('sees samples that wrap around the end of the ring as one piece', async () => {
    const map = rig.newMap({ maxEntries: 4096 });
    // Stops at a sample whose 40th byte is an "S": bytes from both ends of the ring.
    const parts = handlerParts([...op.get(0), ...op.load8.slice(0, 2), 40, ...op.const(83), ...op.equal]);
    await map.putHandler('h', {
      kind: 'wasm',
      config: { module: base64(parts) },
      trigger: { mode: 'manual' },
    });
    for (let round = 0; round < 200; round++) {
      store(map, `${'.'.repeat(40)}S${'.'.repeat(round % 13)}`);
      expect(await drain(map)).toMatchObject({ ret: 1, stopped: true });
    }
  });

  it('lets blocked producers go on while it drains', async () => {
    // Burns time with each sample, so that a drain takes a while.
    const burn = [
      ...op.const(300_000),
      ...op.set(2),
      0x03,
      0x40,
      ...op.get(2),
      ...op.const(-1),
      ...op.add,
      0x22,
      2,
      0x0d,
      0,
      0x0b,
    ];
    const parts = handlerParts([...burn, ...op.const(0)], { locals: 1 });
    const map = rig.newMap({ maxEntries: 4096 });
    await map.putHandler('h', {
      kind: 'wasm',
      config: { module: base64(parts), budget_ms: 10_000 },
      trigger: { mode: 'manual' },
    });
    store(map, ...Array.from({ length: 128 }, () => 'x'.repeat(24)));
    expect(map.ring.free).toBe(0);
    const draining = drain(map);
    const roomWhileDraining = await until(
      () => map.draining && map.ring.free >= 1024,
      'room during the drain',
    );
    expect(roomWhileDraining).toBe(true);
    store(map, 'more');
    expect(await draining).toMatchObject({ ret: 129 });
  });

  it('ends a drain of many quick samples in time by itself, with what it has done', async () => {
    const burn = [
      ...op.const(4_000_000),
      ...op.set(2),
      0x03,
      0x40,
      ...op.get(2),
      ...op.const(-1),
      ...op.add,
      0x22,
      2,
      0x0d,
      0,
      0x0b,
    ];
    const parts = handlerParts([...burn, ...op.const(0)], { locals: 1 });
    const config = { module: base64(parts), budget_ms: 2000 };
    const map = await rig.handled(
      'wasm',
      config,
      Array.from({ length: 4000 }, () => 'x'),
    );
    const result = await drain(map);
    expect(result.ret).toBeGreaterThan(0);
    expect(result.ret).toBeLessThan(4000);
    expect(result).toMatchObject({ drained: result.ret, stopped: false });
    expect(left(map)).toHaveLength(4000 - result.ret);
  });

  it('leaves a whole consumer position behind across the carry of 2^32, also when its thread was ended', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE, budget_ms: 1000 }, []);
    const start = 2n ** 32n * 5n - 16n;
    map.ring.consumerPosition = start;
    map.ring.producerPosition = start;
    // The books of a map that has seen so much.
    map.counters.acceptedBytes = map.counters.releasedBytes = Number(start);
    map.ledger.beforeRestart.acceptedBytes = map.ledger.beforeRestart.drainedBytes = Number(start);
    store(map, 'a', 'b', 'c', 'L');
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 3, consumerPos: start + 48n });
    expect([map.ring.consumerPosition, map.ring.used]).toEqual([start + 48n, 16]);
    expect(new DataView(map.ring.buffer).getBigUint64(0, true)).toBe(start + 48n);
    expect(left(map)).toEqual(['L']);
  });

  it('shows its size and hash instead of the module', async () => {
    const map = await rig.handled('wasm', { module: HOSTILE }, []);
    const { config } = map.handlers.get('h');
    expect(config).toMatchObject({ budget_ms: 1000, module_bytes: Buffer.from(HOSTILE, 'base64').length });
    expect(config.module_sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(config).not.toHaveProperty('module');
  });
});
