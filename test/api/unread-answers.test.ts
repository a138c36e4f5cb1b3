import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { startDaemon, type TestDaemon } from '../support/daemon.js';
import { until } from '../support/until.js';
import { expectProblem } from './problem.js';

const MiB = 2 ** 20;
/** Empty samples: eight bytes each in the ring and some seventy in an answer. */
const SAMPLES = MiB / 8;

let daemon: TestDaemon | undefined;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await daemon?.close();
  daemon = undefined;
});

/** A daemon with a map of which one peek answers more than the operating system buffers for a socket. */
async function startWithLargePeek(limits: Record<string, number>): Promise<TestDaemon> {
  const started = await startDaemon({ limits });
  daemon = started;
  await started.rest.createMap('m', { max_entries: MiB });
  const body = new Uint8Array(MiB);
  const { status } = await started.rest.send('POST', '/v1/maps/m/samples', body, {
    'content-type': 'application/vnd.ringbuf.records',
  });
  expect(status).toBe(200);
  return started;
}

/** Asks for a large answer and reads nothing of it. */
function askAndDoNotRead({ port, host }: TestDaemon): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  socket.write(`GET /v1/maps/m/samples?limit=${SAMPLES} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  sockets.push(socket);
  return socket;
}

describe('limits.max_unread_answer_bytes', () => {
  it('refuses further calls while clients do not read, and takes them again when they are gone', async () => {
    const stuck = await startWithLargePeek({ max_unread_answer_bytes: MiB });
    const { rest } = stuck;
    askAndDoNotRead(stuck);
    const refused = await until(
      async () => {
        const answer = await rest.call('GET', '/v1/maps');
        return answer.status === 200 ? undefined : answer;
      },
      'a refusal',
      15_000,
    );
    expectProblem(refused, 'ANSWERS_UNREAD', { status: 503, retryAfterMs: 1000 });
    expect((await rest.call('GET', '/livez')).status).toBe(200);
    for (const socket of sockets) socket.destroy();
    await until(async () => (await rest.call('GET', '/v1/maps')).status === 200, 'an answer again', 15_000);
  });
});

describe('limits.answer_timeout_ms', () => {
  it('ends a connection whose client reads nothing of its answer, and counts it', async () => {
    const stuck = await startWithLargePeek({ answer_timeout_ms: 50 });
    askAndDoNotRead(stuck);
    await until(async () => {
      const { text } = await stuck.rest.call('GET', '/metrics');
      return /ringbufd_requests_refused_total\{[^}]*reason="answers_unread"[^}]*errno="ETIMEDOUT"[^}]*\} 1\b/.test(
        text,
      );
    });
  });

  it('leaves those alone who read', async () => {
    const { rest } = await startWithLargePeek({ answer_timeout_ms: 20_000 });
    const { samples } = await rest.expect(200, 'GET', `/v1/maps/m/samples?limit=${SAMPLES}`);
    expect(samples).toHaveLength(SAMPLES);
    expect((await rest.call('GET', '/v1/maps')).status).toBe(200);
  });
});
