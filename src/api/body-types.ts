import { RingbufdError } from '../server/errors.js';
import {
  JSON_TYPE,
  NDJSON_TYPE,
  OCTET_STREAM_TYPE,
  RECORDS_TYPE,
  WASM_TYPE,
  type RouteApp,
} from './route-app.js';

/**
 * Accepts a body only with exactly the content type that its route documents: a web page can send a "simple" request with
 * a form's content type to any address, but not one of these, unless CORS lets it.
 */
export function registerBodyTypes(app: RouteApp, maxBodyBytes: number): void {
  app.removeContentTypeParser('text/plain');
  const asBuffer = { parseAs: 'buffer', bodyLimit: maxBodyBytes } as const;
  app.addContentTypeParser(
    [OCTET_STREAM_TYPE, NDJSON_TYPE, RECORDS_TYPE, WASM_TYPE],
    asBuffer,
    (_request, body, done) => done(null, body),
  );
  app.addHook('onRequest', async (request) => {
    const allowed = request.routeOptions.config.bodyTypes;
    if (allowed === undefined) return;
    const type = request.headers['content-type']?.split(';')[0]!.trim().toLowerCase();
    if (type === undefined || !allowed.includes(type))
      throw new RingbufdError(
        'MEDIA_TYPE',
        `Content-Type is ${type ?? 'missing'}; this call takes ${allowed.join(', ')}`,
      );
  });
}

/** The options of a route that takes a JSON body. */
export const jsonBody = { bodyTypes: [JSON_TYPE] } as const;
