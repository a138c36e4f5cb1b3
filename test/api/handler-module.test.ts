import { describe, expect, it } from 'vitest';
import type { RestAnswer } from '../support/rest.js';
import { useDaemon } from '../support/use-daemon.js';
import { buildWasm, handlerParts, op } from '../support/wasm-builder.js';
import { expectProblem } from './problem.js';

const under = useDaemon({ limits: { max_body_bytes: 4096 } });
const goOn = buildWasm(handlerParts(op.const(0)));
const stop = buildWasm(handlerParts(op.const(1)));

const putModule = (map: string, body: Uint8Array, type = 'application/wasm'): Promise<RestAnswer> =>
  under.daemon.rest.send('PUT', `/v1/maps/${map}/handlers/h/module`, body, { 'content-type': type });
const drainTwo = async (map: string): Promise<unknown> => {
  await under.daemon.rest.send('POST', `/v1/maps/${map}/samples`, 'a\nb\n', {
    'content-type': 'application/x-ndjson',
  });
  return under.daemon.rest.drain(map, 'h');
};

describe('PUT /v1/maps/{map}/handlers/{handler}/module', () => {
  it('registers a module as it is, with the defaults of the kind', async () => {
    const map = await under.newMap();
    const answer = await putModule(map, goOn);
    expect(answer.status).toBe(201);
    expect(answer.body).toMatchObject({
      name: 'h',
      kind: 'wasm',
      config: { budget_ms: 1000, memory_mb: 16, module_bytes: goOn.length },
      trigger: { mode: 'manual' },
    });
    expect(await drainTwo(map)).toMatchObject({ ret: 2, stopped: false });
  });

  it('puts a module in the place of another one, whose other keys and trigger are kept', async () => {
    const map = await under.newMap();
    await under.daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/h`, {
      kind: 'wasm',
      config: { module: Buffer.from(goOn).toString('base64'), budget_ms: 500, memory_mb: 3 },
      trigger: { mode: 'auto', min_bytes: 4096, max_delay_ms: 3_600_000 },
    });
    const answer = await putModule(map, stop);
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      config: { budget_ms: 500, memory_mb: 3, module_bytes: stop.length },
      trigger: { mode: 'auto', min_bytes: 4096, max_delay_ms: 3_600_000 },
    });
    expect(await drainTwo(map)).toMatchObject({ ret: 1, stopped: true });
  });

  it('puts a module in the place of a handler of another kind, whose config says nothing to it', async () => {
    const map = await under.newMap();
    const trigger = { mode: 'auto', flags: [], min_bytes: 4096, max_delay_ms: 0 };
    await under.daemon.rest.expect(201, 'PUT', `/v1/maps/${map}/handlers/h`, {
      kind: 'capture',
      config: { max: 7 },
      trigger,
    });
    const answer = await putModule(map, goOn);
    expect([answer.status, answer.body]).toMatchObject([200, { kind: 'wasm', trigger }]);
    expect(answer.body.config).not.toHaveProperty('max');
  });

  it('refuses what is no module, by rule, and leaves what was there', async () => {
    const map = await under.newMap();
    await putModule(map, goOn);
    expectProblem(await putModule(map, Buffer.from('no module')), 'HANDLER_CONFIG', {
      status: 400,
      detail: /rule "valid-module"/,
    });
    expectProblem(await putModule(map, new Uint8Array(0)), 'HANDLER_CONFIG', { status: 400 });
    expect(await drainTwo(map)).toMatchObject({ ret: 2 });
  });

  it('takes application/wasm and nothing else, up to limits.max_body_bytes', async () => {
    const map = await under.newMap();
    for (const type of ['application/octet-stream', 'application/json'])
      expectProblem(await putModule(map, goOn, type), 'MEDIA_TYPE', { status: 415 });
    expectProblem(await putModule(map, new Uint8Array(4097)), 'BODY_TOO_BIG', { status: 413 });
    const answer = await under.daemon.rest.send('PUT', `/v1/maps/${map}/handlers/h`, goOn, {
      'content-type': 'application/wasm',
    });
    expectProblem(answer, 'MEDIA_TYPE', { status: 415 });
  });
});

describe('GET /v1/maps/{map}/handlers/{handler}/attach', () => {
  it('without an upgrade says that it is a WebSocket, or what is not there', async () => {
    const map = await under.newMap();
    const get = (handler: string): Promise<RestAnswer> =>
      under.daemon.rest.call('GET', `/v1/maps/${map}/handlers/${handler}/attach`);
    expectProblem(await get('count'), 'UPGRADE_REQUIRED', { status: 426 });
    expectProblem(await get('nope'), 'NO_HANDLER', { status: 404 });
  });
});
