import { Type, type Static } from 'typebox';
import type { Daemon } from '../../server/daemon.js';
import { RingbufdError } from '../../server/errors.js';
import type { RouteApp } from '../route-app.js';
import { Health, MetricsInfo, responses } from '../schemas.js';

const tags = ['operations'];

export function registerOperationRoutes(app: RouteApp, daemon: Daemon): void {
  const { registry } = daemon.events;

  app.get(
    '/livez',
    {
      config: { scope: 'public', evenOverloaded: true },
      schema: {
        tags,
        operationId: 'livez',
        summary: 'The process answers',
        response: responses({ 200: Health }),
      },
    },
    async () => ({ status: 'live' }),
  );

  app.get(
    '/readyz',
    {
      config: { scope: 'public' },
      schema: {
        tags,
        operationId: 'readyz',
        summary: 'The daemon takes producers',
        response: responses({ 200: Health }),
      },
    },
    async () => {
      if (daemon.state !== 'serving') throw new RingbufdError('SHUTTING_DOWN');
      const { readOnly } = daemon.maps;
      if (readOnly.length > 0) throw new RingbufdError('MAPS_READ_ONLY', readOnly.join(', '));
      return { status: 'ready' };
    },
  );

  app.get(
    '/metrics',
    {
      config: { scope: 'read', evenOverloaded: true },
      schema: {
        tags,
        operationId: 'prometheusMetrics',
        summary: 'Metrics as Prometheus text',
        response: responses({
          200: {
            description: 'See docs/METRICS.md',
            content: { 'text/plain': { schema: Type.String() } },
          },
        }),
      },
    },
    async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()),
  );

  app.get(
    '/v1/metrics',
    {
      config: { scope: 'read', evenOverloaded: true },
      schema: {
        tags,
        operationId: 'jsonMetrics',
        summary: 'The same numbers as JSON',
        response: responses({ 200: MetricsInfo }),
      },
    },
    async () => {
      const metrics: Static<typeof MetricsInfo>['metrics'] = {};
      for (const { name, values } of await registry.getMetricsAsJSON())
        for (const value of values as { labels: object; value: number; metricName?: string }[])
          // A histogram's values carry the names of their own series.
          (metrics[value.metricName ?? name] ??= []).push({
            labels: { ...value.labels },
            // JSON has no NaN, which a summary of nothing is.
            value: Number.isFinite(value.value) ? value.value : null,
          });
      return { metrics };
    },
  );
}
