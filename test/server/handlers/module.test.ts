import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { store } from '../hosted.js';
import { until } from '../../support/until.js';
import { drain, left, useWorkerRig } from './worker-rig.js';

const rig = useWorkerRig();

const put = (map: ReturnType<typeof rig.newMap>, config: Record<string, unknown>): Promise<unknown> =>
  map.putHandler('h', { kind: 'module', config, trigger: { mode: 'manual' } });

/** A module that does what the first letter of the sample says, and takes anything else. */
const HOSTILE = rig.module(`
  const kept = [];
  const acts = {
    L() { for (;;); },
    T() { throw new Error('by intent'); },
    O() { throw { toString() { throw new Error('again'); } }; },
    X() { process.exit(0); },
    U() { Promise.reject(new Error('nobody listens')); return 0; },
    Q() { queueMicrotask(() => { throw new Error('in a microtask'); }); return 0; },
    D() { setTimeout(() => { throw new Error('too late'); }, 20); return 0; },
    A() { const big = Buffer.alloc(1e9); kept.push(big); return 0; },
    H() { for (;;) kept.push(new Array(10000).fill(kept.length)); },
    W() { return 2; },
    N() { return undefined; },
    P() { return Promise.resolve(0); },
    J() { return Promise.reject(new Error('as a promise')); },
    B() { return true; },
    S() { return 1; },
    V() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); return 0; },
  };
  export default (sample) => (acts[String.fromCharCode(sample[0])] ?? (() => 0))();
`);

describe('a module handler', () => {
  it('gets a copy of each sample and what the drain is about', async () => {
    const file = rig.module(`
      let seen = 0;
      const texts = [];
      export default (sample, ctx) => {
        texts.push(sample);
        ctx.log('warn', JSON.stringify([texts.map((t) => Buffer.from(t).toString()), ctx.map, ctx.handler, ctx.value, ctx.options]));
        return ++seen === ctx.options.stopAt ? 1 : 0;
      };
    `);
    const map = rig.newMap();
    await put(map, { file, options: { stopAt: 2 } });
    store(map, 'a', 'b', 'c');
    expect(await drain(map, { who: 'test' })).toMatchObject({ ret: 2, stopped: true, wakeup: true });
    expect(left(map)).toEqual(['c']);
    const lines = rig.log.filter(({ msg }) => msg === 'handler');
    expect(JSON.parse(lines.at(-1)!.text as string)).toEqual([
      ['a', 'b'],
      map.name,
      'h',
      { who: 'test' },
      { stopAt: 2 },
    ]);
    expect(lines.at(-1)).toMatchObject({ level: 40, map: map.name, handler: 'h' });
  });

  it('that loops for ever costs one drain its budget, and goes on with a new thread', async () => {
    const map = await rig.handled('module', { file: HOSTILE, budget_ms: 1000 }, ['a', 'L', 'b']);
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 1 });
    expect(left(map)).toEqual(['L', 'b']);
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 0 });
    expect(map.handlers.get('h').handler.state()).toMatchObject({ starts: 2, timeouts: 2 });
  });

  it('that waits for ever is ended too', async () => {
    const map = await rig.handled('module', { file: HOSTILE, budget_ms: 200 }, ['V']);
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 0 });
    expect(left(map)).toEqual(['V']);
  });

  it.each([
    ['throws', 'T', -5, /by intent/],
    ['throws what cannot be shown', 'O', -5, /cannot be shown/],
    ['exits', 'X', -5, /exited with code 0/],
    ['leaves a rejection unhandled', 'U', -5, /nobody listens/],
    ['throws in a microtask', 'Q', -5, /in a microtask/],
    ['allocates 1 GB', 'A', -5, /memory_mb/],
    ['leaks until its heap is full', 'H', -5, /memory/i],
    ['answers 2', 'W', -22, /answered 2/],
    ['answers nothing', 'N', -22, /answered undefined/],
    ['answers true', 'B', -22, /answered boolean/],
    ['answers a promise', 'P', -22, /answered a promise/],
    ['answers a promise that rejects', 'J', -22, /answered a promise/],
  ])('that %s ends the drain, its sample not released', async (_what, letter, ret, message) => {
    const other = await rig.handled('count', {}, ['x', 'y']);
    const map = await rig.handled('module', { file: HOSTILE, memory_mb: 32, budget_ms: 20_000 }, [
      'a',
      letter,
      'b',
    ]);
    const draining = drain(map);
    expect(await drain(other)).toMatchObject({ ret: 2 });
    const result = await draining;
    expect(result).toMatchObject({ ret, drained: 1, wakeup: true });
    expect((result.error as Error).message).toMatch(message);
    expect(left(map)).toEqual([letter, 'b']);
    // The next drain meets the same sample, and a handler that takes it goes on.
    expect(await drain(map)).toMatchObject({ ret, drained: 0, wakeup: false });
    await map.putHandler('h', { kind: 'count', config: {}, trigger: { mode: 'manual' } });
    expect(await drain(map)).toMatchObject({ ret: 2 });
  });

  it('that throws later, where nobody can tell which sample it was, gets a new thread', async () => {
    const map = await rig.handled('module', { file: HOSTILE }, ['D']);
    expect(await drain(map)).toMatchObject({ ret: 1 });
    const { handler } = map.handlers.get('h');
    await until(() => handler.state().thread === 'none', 'the thread has ended');
    expect(handler.state()).toMatchObject({ last_exit: 'too late' });
    store(map, 'a');
    expect(await drain(map)).toMatchObject({ ret: 1 });
    expect(handler.state()).toMatchObject({ starts: 2, thread: 'ready' });
  });

  it('that cannot be ended, being inside a system call, is left behind: the map goes on without it', async () => {
    const file = rig.module(`
      import { execFileSync } from 'node:child_process';
      export default (sample) => { if (sample[0] === 66) execFileSync('/bin/sleep', ['8']); return 0; };
    `);
    const map = await rig.handled('module', { file, budget_ms: 1000 }, ['a', 'B', 'c']);
    const before = map.ring.buffer;
    expect(await drain(map)).toMatchObject({ ret: -110, drained: 1 });
    expect(left(map)).toEqual(['B', 'c']);
    expect(map.ring.buffer).not.toBe(before);
    await map.putHandler('h', { kind: 'count', config: {}, trigger: { mode: 'manual' } });
    expect(await drain(map)).toMatchObject({ ret: 2 });
  });

  it('has neither the environment nor the standard output of the daemon', async () => {
    const file = rig.module(`
      export default () => { console.log('env', JSON.stringify(process.env)); return 0; };
    `);
    process.env.RINGBUFD_SECRET = 'no';
    const map = await rig.handled('module', { file }, ['a']);
    await drain(map);
    delete process.env.RINGBUFD_SECRET;
    await until(() => rig.log.some(({ text }) => text === 'env {}'), 'its output is in the log');
  });
});

describe('a module is refused', () => {
  it.each([
    ['that is no ES module', 'export default (', 'load', /SyntaxError/],
    ['that throws while it loads', 'throw new Error("not today");', 'load', /not today/],
    ['that exits while it loads', 'process.exit(3);', 'load-exit', /code 3/],
    ['that hangs while it loads', 'for (;;);', 'load-time', /load_ms/],
    [
      'that waits for ever while it loads',
      'await new Promise((r) => setInterval(r, 1e6));',
      'load-time',
      /load_ms/,
    ],
    [
      'that rejects while it loads',
      'Promise.reject(new Error("stray")); export default () => 0;',
      'load',
      /stray/,
    ],
    ['without a default export', 'export const handler = () => 0;', 'default-function', /absent/],
    [
      'whose default export is no function',
      'export default { onSample() {} };',
      'default-function',
      /object/,
    ],
    [
      'that imports what is not there',
      'import "./nothing.mjs"; export default () => 0;',
      'load',
      /nothing\.mjs/,
    ],
  ])('%s', async (_what, source, rule, message) => {
    const map = rig.newMap();
    const refused = put(map, { file: rig.module(source), load_ms: rule === 'load-time' ? 300 : 20_000 });
    await expect(refused).rejects.toThrow(new RegExp(`FAIL ${rule}: .*`));
    await expect(refused).rejects.toThrow(message);
    expect(map.handlers.list()).toEqual([]);
  });

  it('whose name is none, or leads out of the folder', async () => {
    const map = rig.newMap();
    const outside = join(tmpdir(), `ringbufd-outside-${process.pid}.mjs`);
    writeFileSync(outside, 'export default () => 0;');
    symlinkSync(outside, join(rig.folder, 'link.mjs'));
    mkdirSync(join(rig.folder, 'folder.mjs'));
    await expect(put(map, { file: '../x.mjs' })).rejects.toThrow(/FAIL file-name/);
    await expect(put(map, { file: '/etc/passwd' })).rejects.toThrow(/FAIL file-name/);
    await expect(put(map, { file: 'x.js' })).rejects.toThrow(/FAIL file-extension/);
    await expect(put(map, { file: 'absent.mjs' })).rejects.toThrow(/FAIL file-exists/);
    await expect(put(map, { file: 'link.mjs' })).rejects.toThrow(/FAIL file-inside/);
    await expect(put(map, { file: 'folder.mjs' })).rejects.toThrow(/FAIL file-inside/);
  });
});
