import { records } from '../../ring/index.js';
import type { Daemon } from '../../server/daemon.js';
import { sampleToJson } from '../../server/handlers/sample-json.js';
import { jsonBody } from '../body-types.js';
import type { RouteApp } from '../route-app.js';
import {
  CreateMap,
  MapInfo,
  MapList,
  MapParams,
  PeekedSamples,
  PeekQuery,
  QueryInfo,
  responses,
} from '../schemas.js';
import { viewMap, viewQuery } from '../views.js';
import { Type } from 'typebox';

/** Payload bytes shown by one peek, over all its samples. */
const MAX_PEEK_BYTES = 1024 * 1024;

const tags = ['maps'];

export function registerMapRoutes(app: RouteApp, daemon: Daemon): void {
  const { maps, config, kept } = daemon;

  app.get(
    '/v1/maps',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'listMaps',
        summary: 'List the maps',
        response: responses({ 200: MapList }),
      },
    },
    async () => ({ maps: [...maps].map(viewMap) }),
  );

  app.put(
    '/v1/maps/:map',
    {
      config: { scope: 'admin', ...jsonBody },
      schema: {
        tags,
        operationId: 'createMap',
        summary: 'Create a map; the same again is no error',
        params: MapParams,
        body: CreateMap,
        response: responses({ 200: MapInfo, 201: MapInfo }),
      },
    },
    async (request, reply) => {
      const { max_entries, key_size, value_size, map_flags, mode, durability, ledger } = request.body;
      const { map, created } = await maps.open(request.params.map, {
        maxEntries: max_entries,
        keySize: key_size,
        valueSize: value_size,
        mapFlags: map_flags,
        mode,
        durability,
        ledger,
      });
      await kept.keep();
      return reply.code(created ? 201 : 200).send(viewMap(map));
    },
  );

  app.get(
    '/v1/maps/:map',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'showMap',
        summary: 'Show a map: positions, fill, who is connected, counters',
        params: MapParams,
        response: responses({ 200: MapInfo }),
      },
    },
    async (request) => viewMap(maps.get(request.params.map)),
  );

  app.delete(
    '/v1/maps/:map',
    {
      config: { scope: 'admin' },
      schema: {
        tags,
        operationId: 'deleteMap',
        summary: 'Remove a map and what is in it; its producers are closed with 4504',
        params: MapParams,
        response: responses({ 204: Type.Null({ description: 'Removed' }) }),
      },
    },
    async (request, reply) => {
      await maps.delete(request.params.map);
      kept.forgetMap(request.params.map);
      await kept.keep();
      return reply.code(204).send(null);
    },
  );

  app.get(
    '/v1/maps/:map/query',
    {
      config: { scope: 'read' },
      schema: {
        tags,
        operationId: 'queryMap',
        summary: 'The four BPF_RB_* values, and whether the ring is writable',
        params: MapParams,
        response: responses({ 200: QueryInfo }),
      },
    },
    async (request) => viewQuery(maps.get(request.params.map)),
  );

  app.get(
    '/v1/maps/:map/samples',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['samples'],
        operationId: 'peekSamples',
        summary: 'Look at the records from the head on, without consuming them',
        params: MapParams,
        querystring: PeekQuery,
        response: responses({ 200: PeekedSamples }),
      },
    },
    async (request) => {
      const limit = Math.min(request.query.limit, config.limits.max_peek_samples);
      const samples = [];
      let left = MAX_PEEK_BYTES;
      for (const record of records(maps.get(request.params.map).ring)) {
        if (samples.length === limit) break;
        const bytes = record.state === 'ready' ? record.payload(left) : new Uint8Array(0);
        left -= bytes.length;
        samples.push({
          pos: String(record.position),
          len: record.length,
          state: record.state,
          sample: sampleToJson(bytes),
          truncated: record.state === 'ready' && bytes.length < record.length,
        });
      }
      return { samples };
    },
  );
}
