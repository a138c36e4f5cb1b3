/** Composes the daemon and its HTTP server. Listens only when told to. */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import fastify, { LogController, type FastifyBaseLogger } from 'fastify';
import { serveWithoutUpgrade, wantsWebSocket } from './api/ignored-upgrade.js';
import { answerClientError, refuseExpectation } from './api/client-errors.js';
import { answerFrameworkError, registerApi } from './api/index.js';
import type { RouteApp } from './api/route-app.js';
import { hostInUrl, parseListen, type Config } from './server/config.js';
import { createDaemon, type Daemon, type DaemonOptions } from './server/daemon.js';
import { VERSION } from './version.js';

/** Time for a request to arrive as a whole, in ms: a body that drips holds a socket no longer. */
const REQUEST_TIMEOUT_MS = 60_000;

export interface App {
  readonly daemon: Daemon;
  /** For tests: requests without a port. */
  readonly fastify: RouteApp;
  /** Starts to listen where the configuration says. */
  listen(): Promise<{ url: string; host: string; port: number }>;
  /** Stops accepting, tells producers, finishes drains for at most `graceMs`, flushes. */
  close(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Builds everything but does not listen.
 * @throws RingbufdError when the configuration declares a map or a handler that is refused
 */
export async function buildApp(
  config: Config,
  options: Pick<DaemonOptions, 'logger' | 'clock' | 'journals'>,
): Promise<App> {
  let boundHost: string | undefined;
  const { host, port } = parseListen(config.listen)!;
  const daemon = await createDaemon(config, {
    ...options,
    listenHosts: () => (boundHost === undefined ? [host] : [host, boundHost]),
  });
  const loggerInstance: FastifyBaseLogger = options.logger;
  const app: RouteApp = fastify({
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: config.limits.max_body_bytes,
    requestTimeout: REQUEST_TIMEOUT_MS,
    trustProxy: config.trust_proxy,
    routerOptions: { maxParamLength: 256 },
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => answerClientError(error, socket, daemon.events),
    frameworkErrors: (error, _request, reply) => void answerFrameworkError(error, reply, daemon.events),
  }).withTypeProvider<TypeBoxTypeProvider>();
  const close = async (error: unknown): Promise<never> => {
    await daemon.close(0).catch(() => undefined);
    throw error;
  };
  await registerApi(app, daemon, VERSION).catch(close);
  app.server.maxConnections = config.limits.max_sockets;
  app.server.on('drop', () => daemon.events.refused('http', 'LIMIT_CONNECTIONS', 'EAGAIN'));
  app.server.on('checkExpectation', (request, response) =>
    refuseExpectation(request, response, daemon.events),
  );
  app.server.on('upgrade', (request, socket, head) => {
    if (wantsWebSocket(request)) daemon.gateway.handleUpgrade(request, socket, head);
    else serveWithoutUpgrade(app.server, request, socket, head);
  });
  await app.ready().then(undefined, close);
  return {
    daemon,
    fastify: app,
    async listen() {
      await app.listen({ host, port });
      const address = app.server.address();
      if (address === null || typeof address === 'string') throw new Error('not listening on a TCP port');
      boundHost = address.address;
      return { url: `http://${hostInUrl(host)}:${address.port}`, host, port: address.port };
    },
    async close({ graceMs } = {}) {
      await daemon.close(graceMs);
      await app.close();
      // A call that nobody waited for any more may still be writing.
      await daemon.kept.settled();
    },
  };
}
