/** The control plane: fastify plugins around a daemon. */
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import type { Daemon } from '../server/daemon.js';
import { registerSourceCheck, registerTokenCheck } from './access.js';
import { registerBodyTypes } from './body-types.js';
import { registerErrorHandling } from './error-handler.js';
import { registerOverloadCheck, registerRateLimit, registerShutdownCheck } from './load-limits.js';
import { registerDocs, registerOpenapi } from './openapi.js';
import type { RouteApp } from './route-app.js';
import { recordRoutes } from './route-list.js';
import { registerDrainRoutes } from './routes/drain.js';
import { registerHandlerAttachRoute } from './routes/handler-attach.js';
import { registerHandlerModuleRoute } from './routes/handler-module.js';
import { registerHandlerRoutes } from './routes/handlers.js';
import { registerLedgerRoutes } from './routes/ledger.js';
import { registerMapRoutes } from './routes/maps.js';
import { registerOperationRoutes } from './routes/operations.js';
import { registerProducerRoutes } from './routes/producers.js';
import { registerReplayRoutes } from './routes/replay.js';
import { registerSampleRoutes } from './routes/samples.js';
import { registerUnreadAnswersBound } from './unread-answers.js';
import { validatorCompiler } from './validation.js';

/** Time for which a browser may remember the answer to a preflight, in seconds. */
const PREFLIGHT_MAX_AGE_S = 600;

/** Registers everything on a bare fastify instance. The order of the checks is the order of the calls below. */
export async function registerApi(app: RouteApp, daemon: Daemon, version: string): Promise<void> {
  app.setValidatorCompiler(validatorCompiler);
  recordRoutes(app);
  registerErrorHandling(app, daemon.events);
  await registerOpenapi(app, version);

  // The pages at /docs bring a policy of their own, and whether there is TLS is for the proxy in front to know.
  await app.register(helmet, { contentSecurityPolicy: false, strictTransportSecurity: false });
  registerSourceCheck(app, daemon);
  await app.register(cors, {
    // The check above has refused every origin that is neither this daemon's own nor listed.
    origin: (origin, answer) => answer(null, origin ?? false),
    methods: ['GET', 'PUT', 'POST', 'DELETE'],
    exposedHeaders: ['Retry-After', 'Allow'],
    maxAge: PREFLIGHT_MAX_AGE_S,
    // Its refusal would not be problem+json.
    strictPreflight: false,
  });
  await registerRateLimit(app, daemon);
  registerOverloadCheck(app, daemon);
  registerUnreadAnswersBound(app, daemon);
  registerTokenCheck(app, daemon);
  registerShutdownCheck(app, daemon);
  registerBodyTypes(app, daemon.config.limits.max_body_bytes);

  registerMapRoutes(app, daemon);
  registerLedgerRoutes(app, daemon);
  registerSampleRoutes(app, daemon);
  registerHandlerRoutes(app, daemon);
  registerHandlerModuleRoute(app, daemon);
  registerHandlerAttachRoute(app, daemon);
  registerDrainRoutes(app, daemon);
  registerReplayRoutes(app, daemon);
  registerProducerRoutes(app, daemon);
  registerOperationRoutes(app, daemon);
  await registerDocs(app);
}

export { answerFrameworkError } from './error-handler.js';
