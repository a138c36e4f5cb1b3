import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { store } from '../server/hosted.js';
import { drain, left, useWorkerRig } from '../server/handlers/worker-rig.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ringbufd-examples-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const runs = (command: string): boolean => spawnSync(command, ['--version']).status === 0;
const MISSING_C = ['clang', 'wasm-ld'].filter((tool) => !runs(tool));
const ASC = process.env.ASC ?? join(ROOT, 'node_modules', '.bin', 'asc');

/** Runs an example's own build script; returns the module in base64. */
function build(example: string, env: Record<string, string> = {}): string {
  const file = join(folder, `${example}.wasm`);
  const script = join(ROOT, 'examples', 'handlers', example, 'build.sh');
  const { status, stderr } = spawnSync('sh', [script, file], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  expect(status, stderr).toBe(0);
  return readFileSync(file).toString('base64');
}

describe('examples/handlers', () => {
  const rig = useWorkerRig();

  it.skipIf(MISSING_C.length > 0)(
    `c: copies errors into another map, and stops${MISSING_C.length > 0 ? ` (skipped: no ${MISSING_C.join(', ')} here)` : ''}`,
    async () => {
      const errors = rig.maps.create('errors', { maxEntries: 4096 }).map;
      const config = { module: build('c'), emit: ['errors'] };
      const map = await rig.handled('wasm', config, [
        'fine',
        'ERROR: one',
        'ERR',
        'ERROR',
        'stop',
        'ERROR: later',
      ]);
      expect(await drain(map)).toMatchObject({ ret: 5, stopped: true });
      expect(left(errors)).toEqual(['ERROR: one', 'ERROR']);
      expect(errors.counters.acceptedSamples).toBe(2);
      expect(await drain(map)).toMatchObject({ ret: 1, stopped: false });
      expect(left(errors)).toEqual(['ERROR: one', 'ERROR', 'ERROR: later']);
      // Full: the handler is told so, and says so in the log.
      store(errors, 'x'.repeat(errors.ring.free - 8));
      store(map, 'ERROR: lost');
      expect(await drain(map)).toMatchObject({ ret: 1 });
      expect(left(errors)).toHaveLength(4);
      expect(rig.log.at(-1)).toMatchObject({ level: 40, text: expect.stringContaining('no room') as string });
      expect(map.handlers.get('h').handler.state()).toMatchObject({ emits_refused: 1 });
      expect(errors.waiting.roomForNewcomers).toBe(0);
    },
  );

  it.skipIf(!existsSync(ASC))(
    `assemblyscript: logs what is over the threshold, and stops at the third${existsSync(ASC) ? '' : ' (skipped: no asc here)'}`,
    async () => {
      const map = await rig.handled('wasm', { module: build('assemblyscript', { ASC }) }, []);
      const reading = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);
      store(map, ...[100, 101, 5, 200, 300, 400, 1].map(reading));
      expect(await drain(map)).toMatchObject({ ret: 6, stopped: true });
      expect(await drain(map)).toMatchObject({ ret: 1, stopped: false });
      expect(rig.log.filter(({ text }) => text === 'over')).toHaveLength(4);
    },
  );
});
