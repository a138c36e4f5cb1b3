/** Plain and JSON mode from a client that this project did not write: Debian's python3-websockets. */
import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { until } from '../support/until.js';
import { useDaemon } from '../support/use-daemon.js';

const PYTHON = '/usr/bin/python3';
const SCRIPT = fileURLToPath(new URL('python_client.py', import.meta.url));

const check = spawnSync(PYTHON, ['-c', 'import websockets; print(websockets.__version__)'], {
  encoding: 'utf8',
});
const absent = check.status !== 0;

if (absent)
  describe('python3-websockets is not installed', () => {
    it.skip('NOT RUN: plain and JSON mode from python3-websockets (apt-get install python3-websockets)', () =>
      undefined);
  });

describe.skipIf(absent)(`python3-websockets ${check.stdout?.trim()}`, () => {
  const test = useDaemon();
  const run = async (map: string, scenario: string): Promise<Record<string, unknown>> => {
    const { stdout } = await promisify(execFile)(PYTHON, [SCRIPT, test.daemon.produceUrl(map), scenario]);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const hex = (text: string): string => Buffer.from(text).toString('hex');

  it('is a producer in plain mode', async () => {
    const map = await test.newMap();
    expect(await run(map, 'plain')).toEqual({ code: 1000, reason: '', subprotocol: null });
    expect(await test.daemon.rest.drainSamples(map)).toEqual([
      hex('text ✓'),
      '00ff01',
      '',
      hex('in three pieces'),
    ]);
  });

  it('gets its Close answered when everything is stored, the ring having been full', async () => {
    const map = await test.newMap();
    const finished = run(map, 'plain_full');
    const marks: number[] = [];
    await until(async () => {
      const heads = await test.daemon.rest.drainSamples(map);
      marks.push(...heads.map((head) => parseInt(head.slice(0, 2), 16)));
      return marks.length === 20;
    });
    expect(await finished).toEqual({ code: 1000 });
    expect(marks).toEqual(Array.from({ length: 20 }, (_, mark) => mark));
  });

  it('speaks JSON mode', async () => {
    const map = await test.newMap();
    const { incarnation } = await test.daemon.rest.showMap(map);
    const positions = { producer_pos: '48', consumer_pos: '0' };
    expect(await run(map, 'json')).toEqual({
      subprotocol: 'ringbuf.v1.json',
      replies: [
        expect.objectContaining({ op: 'welcome', seq: '0', map, incarnation, max_entries: 4096 }),
        { op: 'ack', seq: '1', durability: 'memory', producer_pos: '32', consumer_pos: '0' },
        { op: 'reserved', seq: '7', position: '32' },
        { op: 'done', seq: '8', ...positions },
        { op: 'done', seq: '9', ...positions },
        {
          op: 'wakeup',
          seq: '0',
          forced: false,
          writable: true,
          at_once: true,
          drained: 0,
          ...positions,
        },
        expect.objectContaining({ op: 'error', request: 'discard', errno: 'ENOENT', seq: '10' }),
        { op: 'info', seq: '18446744073709551615', avail_data: '48', ring_size: '4096', ...positions },
        expect.objectContaining({ op: 'error', request: 'output', errno: 'EPROTO', seq: '5', accepted: 0 }),
      ],
      code: 4505,
      reason: 'EPROTO: OUTPUT 5 after 1',
    });
    expect(await test.daemon.rest.drainSamples(map)).toEqual([hex('hi'), '0001', hex('abc')]);
  });
});
