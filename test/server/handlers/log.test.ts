import { describe, expect, it } from 'vitest';
import { hostMaps, store } from '../hosted.js';

describe('the log handler', () => {
  it('writes a line a sample, with map, handler, length and the first bytes', async () => {
    const { maps, log } = hostMaps();
    const { map } = maps.create('m', { maxEntries: 4096 });
    await map.putHandler('l', {
      kind: 'log',
      config: { level: 'warn', head_bytes: 4 },
      trigger: { mode: 'manual' },
    });
    store(map, 'hello', Uint8Array.of(0, 255));
    void map.drain('l', 0, {});
    expect(log).toMatchObject([
      { level: 40, map: 'm', handler: 'l', len: 5, sample: 'hell', msg: 'sample' },
      { level: 40, map: 'm', handler: 'l', len: 2, sample: { b64: 'AP8=' } },
    ]);
    expect(map.handlers.get('l').handler.state()).toEqual({ samples: 2 });
  });
});
