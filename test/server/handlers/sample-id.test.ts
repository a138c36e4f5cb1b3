import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { store } from '../hosted.js';
import { buildWasm, handlerParts, op } from '../../support/wasm-builder.js';
import { drain, left, useWorkerRig } from './worker-rig.js';

const rig = useWorkerRig();

/** "a" at 0, a discarded record at 16, "b" at 128, "c" at 144. */
function fill(map: HostedMap): void {
  const holder = { openReservations: 0 };
  store(map, 'a');
  const position = map.intake.reserve(holder, 100);
  store(map, 'b', 'c');
  map.intake.discard(holder, position);
}

describe('the id of a sample, (incarnation, position),', () => {
  it('is told to a module, also when the sample comes again', async () => {
    const out = join(rig.folder, 'ids.txt');
    const file = rig.module(`
      import { appendFileSync } from 'node:fs';
      let failed = false;
      export default (sample, ctx) => {
        const text = new TextDecoder().decode(sample);
        appendFileSync(${JSON.stringify(out)}, ctx.incarnation + ' ' + ctx.position + ' ' + text + '\\n');
        if (text !== 'b' || failed) return 0;
        failed = true;
        return 7;
      };
    `);
    const map = await rig.handled('module', { file }, []);
    fill(map);
    expect((await drain(map)).ret).toBe(-22);
    expect((await drain(map)).ret).toBe(2);
    const id = map.incarnation;
    expect((await readFile(out, 'utf8')).trim().split('\n')).toEqual([
      `${id} 0 a`,
      `${id} 128 b`,
      `${id} 128 b`,
      `${id} 144 c`,
    ]);
  });

  it('is exact beyond 2^32', async () => {
    const out = join(rig.folder, 'far.txt');
    const file = rig.module(`
      import { appendFileSync } from 'node:fs';
      export default (sample, ctx) => (appendFileSync(${JSON.stringify(out)}, ctx.position + '\\n'), 0);
    `);
    const map = await rig.handled('module', { file }, []);
    const start = 2n ** 32n * 7n - 16n;
    map.ring.consumerPosition = map.ring.producerPosition = start;
    map.counters.acceptedBytes = map.counters.releasedBytes = Number(start);
    map.ledger.beforeRestart.acceptedBytes = map.ledger.beforeRestart.drainedBytes = Number(start);
    store(map, 'a', 'b', 'c');
    expect((await drain(map)).ret).toBe(3);
    expect((await readFile(out, 'utf8')).trim().split('\n')).toEqual([
      String(start),
      String(start + 16n),
      String(start + 32n),
    ]);
  });

  it('is told to a WebAssembly module', async () => {
    const toInt32 = [0xa7];
    // Answers 1, and so stops, behind the sample at position 128; and 2, which is an error, without an incarnation.
    const body = [
      ...[...op.const(0), ...op.const(16), ...op.call(1)],
      ...[...op.const(16), ...op.equal],
      ...op.if(op.call(0), toInt32, op.const(128), op.equal, op.return),
      ...op.const(2),
    ];
    const module = Buffer.from(
      buildWasm(
        handlerParts(body, {
          imports: [
            { name: 'position', type: { params: [], results: ['i64'] } },
            { name: 'incarnation', type: { params: ['i32', 'i32'], results: ['i32'] } },
          ],
        }),
      ),
    ).toString('base64');
    const refused = rig.handled('wasm', { module }, []);
    // The probe has an incarnation of another length: the verifier shows that the import answers.
    await expect(refused).rejects.toThrow(/probe-verdict/);
    const lenient = Buffer.from(
      buildWasm(
        handlerParts([...op.call(0), ...toInt32, ...op.const(128), ...op.equal], {
          imports: [{ name: 'position', type: { params: [], results: ['i64'] } }],
        }),
      ),
    ).toString('base64');
    const map = await rig.handled('wasm', { module: lenient }, []);
    fill(map);
    expect(await drain(map)).toMatchObject({ ret: 2, stopped: true });
    expect(left(map)).toEqual(['c']);
  });
});
