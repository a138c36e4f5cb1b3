import type { Daemon } from '../../server/daemon.js';
import { RingbufdError } from '../../server/errors.js';
import { buildRun } from '../../wire/index.js';
import { NDJSON_TYPE, OCTET_STREAM_TYPE, RECORDS_TYPE, type RouteApp } from '../route-app.js';
import { MapParams, responses, Stored } from '../schemas.js';

const LF = 0x0a;
const CR = 0x0d;

export function registerSampleRoutes(app: RouteApp, { maps }: Daemon): void {
  app.post(
    '/v1/maps/:map/samples',
    {
      config: { scope: 'produce', bodyTypes: [OCTET_STREAM_TYPE, NDJSON_TYPE, RECORDS_TYPE] },
      schema: {
        tags: ['samples'],
        operationId: 'storeSamples',
        summary: 'Store samples, all of them or none',
        description:
          'application/octet-stream: the body is one sample. application/x-ndjson: one sample a line. ' +
          'application/vnd.ringbuf.records: records in ring format. After a lost answer the outcome is unknown: ' +
          'use the WebSocket for exactly-once.',
        consumes: [OCTET_STREAM_TYPE, NDJSON_TYPE, RECORDS_TYPE],
        params: MapParams,
        response: responses({ 200: Stored }),
      },
    },
    async (request) => {
      const map = maps.get(request.params.map);
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const type = request.headers['content-type']!.split(';')[0]!.trim().toLowerCase();
      const run = type === RECORDS_TYPE ? body : buildRun(type === NDJSON_TYPE ? splitLines(body) : [body]);
      const accepted = map.intake.storeAtomically(run);
      await map.settled();
      return { accepted, producer_pos: String(map.ring.producerPosition) };
    },
  );
}

/**
 * The lines of NDJSON as views, without their LF or CRLF. The bytes are not looked at otherwise.
 * @throws RingbufdError BAD_REQUEST for an empty line, and for a body without any line
 */
function splitLines(body: Buffer): Uint8Array[] {
  const lines: Uint8Array[] = [];
  for (let start = 0; start < body.length;) {
    const feed = body.indexOf(LF, start);
    const next = feed < 0 ? body.length : feed + 1;
    let end = feed < 0 ? body.length : feed;
    if (feed >= 0 && end > start && body[end - 1] === CR) end--;
    if (end === start)
      throw new RingbufdError('BAD_REQUEST', `line ${lines.length + 1} of the body is empty`);
    lines.push(body.subarray(start, end));
    start = next;
  }
  if (lines.length === 0) throw new RingbufdError('BAD_REQUEST', 'the body has no line');
  return lines;
}
