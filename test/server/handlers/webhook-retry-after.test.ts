/** A server that asks to wait is not asked meanwhile, and no sample is blamed for that. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HostedMap } from '../../../src/server/hosted-map.js';
import { completeOnError } from '../../../src/server/on-error.js';
import { hostMaps, store, type HostedMaps } from '../hosted.js';
import { answer, Receiver } from './webhook-receiver.js';

let hosted: HostedMaps;
let map: HostedMap;
let receiver: Receiver;

beforeEach(async () => {
  receiver = await Receiver.start({ behaviours: [answer(429, { 'retry-after': '60' }), answer(200)] });
  hosted = hostMaps({ registry: { webhooks: { allow: ['127.0.0.1'] } } });
  map = hosted.maps.create('m', { maxEntries: 4096 }).map;
  hosted.maps.create('dlq', { maxEntries: 4096 });
});
afterEach(async () => {
  await hosted.maps.delete('m');
  await receiver.stop();
});

it('a drain before the Retry-After is over is no attempt, however many there are', async () => {
  await map.putHandler('h', {
    kind: 'webhook',
    config: { url: receiver.url(), max_attempts: 1 },
    trigger: { mode: 'manual' },
    onError: completeOnError({ policy: 'dead_letter', map: 'dlq', max_attempts: 2 }),
  });
  store(map, 'a');
  expect(await map.drain('h', 0, {})).toMatchObject({ ret: -5 });
  for (let drains = 0; drains < 10; drains++)
    expect(await map.drain('h', 0, {})).toMatchObject({ ret: -11, deadLettered: 0 });
  const { health } = map.handlers.get('h');
  expect([health.attempts, receiver.requests.length]).toEqual([1, 1]);
  hosted.clock.advance(60_000);
  expect(await map.drain('h', 0, {})).toMatchObject({ ret: 1, deadLettered: 0 });
});
