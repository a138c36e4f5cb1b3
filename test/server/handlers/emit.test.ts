import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { Consumer, Producer, createUserRing, records } from '../../../src/ring/index.js';
import { systemClock } from '../../../src/server/clock.js';
import { runDrain, type DrainOutcome } from '../../../src/server/drain-runner.js';
import { wasmConfigOf, wasmKind } from '../../../src/server/handlers/wasm.js';
import { moduleKind } from '../../../src/server/handlers/module.js';
import type { EmitTarget } from '../../../src/server/handlers/worker/emit-credit.js';
import type { ThreadedHandler } from '../../../src/server/handlers/worker/threaded-handler.js';
import { Value } from 'typebox/value';
import { buildWasm, handlerParts, op } from '../../support/wasm-builder.js';
import { useWorkerRig } from './worker-rig.js';

const rig = useWorkerRig();
const handlers: ThreadedHandler[] = [];
afterEach(async () => {
  for (const handler of handlers.splice(0)) await handler.close();
});

/** A target that notes what happens to it. */
class Target implements EmitTarget {
  readonly ring = createUserRing({ maxEntries: 4096 }, { mode: 'managed' });
  readonly #producer = new Producer(this.ring);
  readonly #grant: number;
  held = 0;
  asked = 0;
  stores = 0;

  constructor(grant = Infinity) {
    this.#grant = grant;
  }

  grant(bytes: number): number {
    this.asked = bytes;
    return (this.held = Math.min(bytes, this.#grant, this.ring.free));
  }

  store(run: Uint8Array, count: number): void {
    expect(run.length).toBeLessThanOrEqual(this.held);
    this.held -= run.length;
    const before = [...records(this.ring)].length;
    expect(this.#producer.outputRun(run)).toBe(0);
    expect([...records(this.ring)].length).toBe(before + count);
    this.stores++;
  }

  settle(): void {
    this.held = 0;
  }

  get texts(): string[] {
    return [...records(this.ring)].map((record) => Buffer.from(record.payload()).toString());
  }
}

/** A module that emits each sample into "out", and answers what emit answered: 0, or a verdict that fails the drain. */
const ECHO = buildWasm(
  handlerParts(
    [
      ...op.get(0),
      ...op.load8,
      ...op.const('L'.charCodeAt(0)),
      ...op.equal,
      ...op.if(
        [...op.const(16), ...op.const(3), ...op.get(0), ...op.get(1), ...op.call(0), ...op.drop],
        op.forever,
      ),
      ...op.const(16),
      ...op.const(3),
      ...op.get(0),
      ...op.get(1),
      ...op.call(0),
    ],
    {
      imports: [{ name: 'emit', type: { params: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] } }],
      data: [{ at: 16, text: 'out' }],
    },
  ),
);

interface Drained {
  handler: ThreadedHandler;
  readonly drain: (...samples: string[]) => Promise<DrainOutcome>;
  readonly left: () => string[];
}

async function start(
  kind: 'wasm' | 'module',
  config: Record<string, unknown>,
  targets: Record<string, EmitTarget>,
): Promise<Drained> {
  const deps = {
    map: 'in',
    handler: 'h',
    dataDir: rig.folder,
    handlersDir: rig.folder,
    logger: pino({ level: 'silent' }),
    clock: systemClock,
    emitTarget: (name: string) => targets[name],
  };
  const made = kind === 'wasm' ? wasmKind : moduleKind;
  const full = Value.Default(made.configSchema, config) as Record<string, unknown>;
  const handler = made.create(full, deps);
  handlers.push(handler);
  await handler.prepare();
  const ring = createUserRing({ maxEntries: 65_536 }, { mode: 'managed' });
  const producer = new Producer(ring);
  const consumer = new Consumer(ring);
  return {
    handler,
    async drain(...samples) {
      for (const sample of samples) expect(producer.output(Buffer.from(sample))).toBe(0);
      const request = { handler, ctx: {}, flags: 0, map: 'in', incarnation: 'i' };
      return runDrain(ring, consumer, request, () => undefined);
    },
    left: () => [...records(ring)].map((record) => Buffer.from(record.payload()).toString()),
  };
}

describe('emitting from a wasm handler', () => {
  it('puts samples into a target, within room that was held for them', async () => {
    const out = new Target();
    const { handler, drain } = await start('wasm', wasmConfigOf(ECHO, { emit: ['out'] }), { out });
    expect(handler.targets).toEqual(['out']);
    expect(await drain('one', 'two', '')).toMatchObject({ ret: 3 });
    expect(out.texts).toEqual(['one', 'two', '']);
    expect(await drain('three')).toMatchObject({ ret: 1 });
    expect(out.texts).toEqual(['one', 'two', '', 'three']);
    expect(out).toMatchObject({ asked: 262_144, held: 0 });
    expect(handler.state()).toMatchObject({ emitted_bytes: 56, emits_refused: 0 });
  });

  it('answers ENOSPC when the credit of the drain is used up; the sample decides what becomes of it', async () => {
    const out = new Target(40);
    const { handler, drain, left } = await start('wasm', wasmConfigOf(ECHO, { emit: ['out'] }), { out });
    const result = await drain('one', 'two', 'three', 'four');
    expect(result).toMatchObject({ ret: -22, drained: 2 });
    expect((result.error as Error).message).toMatch(/answered -28/);
    expect(out.texts).toEqual(['one', 'two']);
    expect(left()).toEqual(['three', 'four']);
    expect(handler.state()).toMatchObject({ emits_refused: 1 });
  });

  it('is bounded by emit_bytes, whatever room there is', async () => {
    const out = new Target();
    const config = wasmConfigOf(ECHO, { emit: ['out'], emit_bytes: 16 });
    const { drain } = await start('wasm', config, { out });
    expect(await drain('one', 'two')).toMatchObject({ ret: -22, drained: 1 });
    expect(out.texts).toEqual(['one']);
  });

  it('answers ENOENT for a map that emit does not name, and ENOSPC for one that is not there', async () => {
    const unnamed = await start('wasm', wasmConfigOf(ECHO, { emit: ['other'] }), { out: new Target() });
    expect(((await unnamed.drain('a')).error as Error).message).toMatch(/answered -2,/);
    const absent = await start('wasm', wasmConfigOf(ECHO, { emit: ['out'] }), {});
    expect(((await absent.drain('a')).error as Error).message).toMatch(/answered -28,/);
  });

  it('takes effect for released samples only: not for one whose drain was ended', async () => {
    const out = new Target();
    const config = wasmConfigOf(ECHO, { emit: ['out'], budget_ms: 1000 });
    const { drain, left } = await start('wasm', config, { out });
    expect(await drain('one', 'two', 'L')).toMatchObject({ ret: -110, drained: 2 });
    expect(left()).toEqual(['L']);
    expect(out).toMatchObject({ texts: ['one', 'two'], held: 0 });
  });

  it('lets nothing through twice or not at all, however often the thread is ended', async () => {
    const file = rig.module(`
      export default (sample, ctx) => {
        if (ctx.emit('out', sample) !== 0) return 2;
        if (Math.random() < 0.05) ctx.value.not.there();
        return 0;
      };
    `);
    const seen: string[] = [];
    const samples = Array.from({ length: 200 }, (_, index) => `s${index}`);
    const out = new Target();
    const { drain, left } = await start('module', { file, emit: ['out'], budget_ms: 2000 }, { out });
    await drain(...samples);
    for (let drains = 0; left().length > 0; drains++) {
      expect(drains).toBeLessThan(200);
      await drain();
    }
    seen.push(...out.texts);
    expect(seen).toEqual(samples);
  });

  it('refuses more than four targets, and names that are none', async () => {
    const map = rig.newMap();
    const put = (emit: string[]): Promise<unknown> =>
      map.putHandler('h', {
        kind: 'wasm',
        config: wasmConfigOf(ECHO, { emit }),
        trigger: { mode: 'manual' },
      });
    await expect(put(['a', 'b', 'c', 'd', 'e'])).rejects.toThrow(/config\.emit/);
    await expect(put(['../x'])).rejects.toThrow(/config\.emit "\.\.\/x"/);
  });
});
