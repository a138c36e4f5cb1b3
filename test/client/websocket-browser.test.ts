import { WebSocket as WhatwgWebSocket } from 'undici';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openWebSocket } from '../../src/client/websocket-browser.js';
import { failure, producerOf, startDaemon, until } from './support.js';

// undici's WebSocket is an implementation of the WHATWG standard, as browsers have it.
describe('the SDK on the WebSocket of a browser', () => {
  beforeEach(() => vi.stubGlobal('WebSocket', WhatwgWebSocket));
  afterEach(() => vi.unstubAllGlobals());

  it('connects with its token, outputs, is woken and closes', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { openWebSocket, token: 'secret' });
    expect(daemon.upgrades[0]!.headers['sec-websocket-protocol']).toMatch(/^ringbuf\.v1, ?bearer\.c2VjcmV0$/);
    const { producerPos } = await producer.output(['a', 'b']);
    const done = producer.drained(producerPos);
    await until(() => daemon.session.watch === 0);
    daemon.drain();
    await done;
    const code = new Promise((resolve) => daemon.session.socket.on('close', resolve));
    expect(await producer.close()).toEqual({ flushed: true, failed: 0 });
    expect(await code).toBe(1000);
  });

  it('reconnects after a cut and resumes', async () => {
    const daemon = await startDaemon();
    const producer = await producerOf(daemon, { openWebSocket, producer: 'p' });
    await producer.output('a');
    daemon.session.socket.terminate();
    await producer.output('b');
    expect(daemon.everything).toEqual(['a', 'b']);
    expect(daemon.sessions.length).toBe(2);
  });

  it('understands a refusal by close code', async () => {
    const daemon = await startDaemon({ greet: (socket) => socket.close(4501, 'EPERM no token') });
    expect(await failure(producerOf(daemon, { openWebSocket }))).toMatchObject({
      errno: 'EPERM',
      closeCode: 4501,
      retryable: false,
    });
  });

  it('gives a silent daemon up without its consent', async () => {
    const daemon = await startDaemon({ greet: () => undefined });
    const error = await failure(producerOf(daemon, { openWebSocket, connectTimeoutMs: 20 }));
    expect(error).toMatchObject({ errno: 'ETIMEDOUT' });
  });
});
