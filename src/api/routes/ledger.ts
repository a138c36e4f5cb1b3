import type { Static } from 'typebox';
import type { Daemon } from '../../server/daemon.js';
import { RingbufdError } from '../../server/errors.js';
import type { HostedMap } from '../../server/hosted-map.js';
import type { LedgerLine } from '../../server/ledger/ledger-line.js';
import { reportLedger, reportLine } from '../../server/ledger/ledger-report.js';
import { LedgerInfo, LedgerQuery, type LedgerLineInfo } from '../ledger-schemas.js';
import type { RouteApp } from '../route-app.js';
import { MapParams, responses } from '../schemas.js';

export function registerLedgerRoutes(app: RouteApp, { maps }: Daemon): void {
  app.get(
    '/v1/maps/:map/ledger',
    {
      config: { scope: 'read' },
      schema: {
        tags: ['maps'],
        operationId: 'showLedger',
        summary:
          'What became of every record: accepted = drained + discarded + dead_lettered + quarantined + buffered',
        description:
          'Per map and per producer, in samples and in bytes of their records. `holds` says whether the terms, each ' +
          'counted where it happens, agree. Not for direct maps.',
        params: MapParams,
        querystring: LedgerQuery,
        response: responses({ 200: LedgerInfo }),
      },
    },
    async (request) => viewLedger(maps.get(request.params.map), request.query),
  );
}

function viewLedger(map: HostedMap, query: Static<typeof LedgerQuery>): Static<typeof LedgerInfo> {
  const { ledger, attributes } = map;
  if (attributes.mode === 'direct')
    throw new RingbufdError(
      'NOT_ALLOWED_HERE',
      `map "${map.name}" is direct: conservation is not claimed for it`,
    );
  const lines = [...ledger.lines()].filter(isUsed);
  const wanted =
    query.producer === undefined ? lines : lines.filter(({ producer }) => producer === query.producer);
  return {
    map: map.name,
    incarnation: map.incarnation,
    durability: attributes.durability,
    ledger: attributes.ledger,
    ...reportLedger(map),
    producers: wanted.slice(0, query.limit).map((line) => viewLine(map, line)),
    lines: lines.length,
    runs: ledger.runs,
  };
}

function viewLine(map: HostedMap, line: LedgerLine): Static<typeof LedgerLineInfo> {
  const state = line.producer === null ? undefined : map.states.get(line.producer);
  return {
    ...reportLine(line, map.attributes.ledger === 'hash'),
    accepted_ever:
      state === undefined ? null : { samples: state.acceptedSamples, bytes: state.acceptedBytes },
  };
}

/** Lines of kinds that the map has never seen are left out. */
function isUsed(line: LedgerLine): boolean {
  return line.producer !== null || line.acceptedSamples > 0;
}
