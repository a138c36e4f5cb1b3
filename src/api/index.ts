/** The control plane: fastify plugins around a daemon. */
import cors from '@fastify/cors';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import underPressure from '@fastify/under-pressure';
import type { Daemon } from '../server/daemon.js';
import { registerAccess } from './access.js';
import { registerBodyTypes } from './body-types.js';
import { registerErrorHandling } from './error-handler.js';
import { registerDocs, registerOpenapi } from './openapi.js';
import { isExemptFromRateLimit } from './rate-limit-exemption.js';
import type { RouteApp } from './route-app.js';
import { registerDrainRoutes } from './routes/drain.js';
import { registerHandlerRoutes } from './routes/handlers.js';
import { registerHealthRoutes } from './routes/health.js';
import { registerMapRoutes } from './routes/maps.js';
import { registerProducerRoutes } from './routes/producers.js';
import { registerSampleRoutes } from './routes/samples.js';
import { validatorCompiler } from './validation.js';

const MINUTE_MS = 60_000;

/** Registers everything on a bare fastify instance. */
export async function registerApi(app: RouteApp, daemon: Daemon, version: string): Promise<void> {
  const { config, events } = daemon;
  const { limits } = config;
  app.setValidatorCompiler(validatorCompiler);
  registerErrorHandling(app, events);
  await registerOpenapi(app, version);
  registerAccess(app, daemon);
  registerBodyTypes(app, limits.max_body_bytes);
  await app.register(helmet, { contentSecurityPolicy: false });
  await app.register(cors, {
    origin: [...config.allowed_origins],
    methods: ['GET', 'PUT', 'POST', 'DELETE'],
    maxAge: 600,
  });
  if (limits.max_requests_per_minute > 0)
    await app.register(rateLimit, {
      max: limits.max_requests_per_minute,
      timeWindow: MINUTE_MS,
      allowList: (request) => isExemptFromRateLimit(request, config.trust_proxy),
    });
  if (limits.max_event_loop_delay_ms > 0)
    await app.register(underPressure, { maxEventLoopDelay: limits.max_event_loop_delay_ms });
  registerMapRoutes(app, daemon);
  registerSampleRoutes(app, daemon);
  registerHandlerRoutes(app, daemon);
  registerDrainRoutes(app, daemon);
  registerProducerRoutes(app, daemon);
  registerHealthRoutes(app, daemon);
  await registerDocs(app);
}
