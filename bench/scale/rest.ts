import autocannon from 'autocannon';
import { startDaemon } from '../peers/ringbufd.js';
import type { Row, Table } from '../report/results.js';

const CONNECTIONS = 10;
const SECONDS = { quick: 1, full: 3 };
const MAP = 'rest';

/** What REST does under autocannon. @throws Error when a request was answered with an error */
export async function measureRest(quick: boolean): Promise<Table> {
  const daemon = await startDaemon();
  const duration = SECONDS[quick ? 'quick' : 'full'];
  const url = `http://127.0.0.1:${daemon.port}/v1/maps/${MAP}`;
  const rows: Row[] = [];
  try {
    await daemon.call('PUT', `/v1/maps/${MAP}`, { max_entries: 2 ** 30 });
    const requests: [string, Omit<autocannon.Options, 'connections' | 'duration'>][] = [
      ['GET …/query', { url: `${url}/query` }],
      [
        'POST …/samples, one of 64 bytes',
        {
          url: `${url}/samples`,
          method: 'POST',
          headers: { 'content-type': 'application/octet-stream' },
          body: Buffer.alloc(64, 7),
        },
      ],
    ];
    for (const [name, request] of requests) {
      const {
        requests: answered,
        latency,
        non2xx,
        errors,
      } = await autocannon({
        ...request,
        connections: CONNECTIONS,
        duration,
      });
      if (non2xx + errors > 0) throw new Error(`${name}: ${non2xx} refused, ${errors} failed`);
      rows.push({
        name,
        cells: {
          rate: { values: [answered.average] },
          p50: { values: [latency.p50] },
          p99: { values: [latency.p99] },
        },
      });
    }
  } finally {
    await daemon.stop();
  }
  return {
    key: 'scale-rest',
    title: `REST under autocannon, ${CONNECTIONS} connections`,
    columns: [
      { key: 'rate', title: 'requests a second', digits: 0 },
      { key: 'p50', title: 'p50, ms', digits: 0 },
      { key: 'p99', title: 'p99, ms', digits: 0 },
    ],
    rows,
  };
}
