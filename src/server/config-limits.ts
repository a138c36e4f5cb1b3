/** The one section of limits: everything that a remote peer can make grow. */
import { Type } from 'typebox';
import { amount, section } from './config-amount.js';

export const LimitsSchema = Type.Object(
  {
    max_maps: amount({ text: 'Most maps.', unit: 'maps', default: 1024 }),
    max_total_ring_bytes: amount({
      text: 'Most bytes of all rings together.',
      unit: 'bytes',
      default: 2 ** 32,
      minimum: 4096,
    }),
    max_connections: amount({
      text: 'Most producer connections at a time.',
      unit: 'connections',
      default: 16_384,
    }),
    max_connections_per_address: amount({
      text: 'Most producer connections at a time from one remote address.',
      unit: 'connections',
      default: 16_384,
    }),
    max_sockets: amount({
      text: 'Most TCP connections at a time, producers included; more are closed at once. Keep it below the open-files limit of the process.',
      unit: 'connections',
      default: 17_408,
    }),
    max_frame_bytes: amount({
      text: 'Largest body of one WebSocket message; the 16-byte frame header is not counted.',
      unit: 'bytes',
      default: 2 ** 20,
      minimum: 64,
      maximum: 2 ** 30,
    }),
    max_body_bytes: amount({
      text: 'Largest body of one HTTP request.',
      unit: 'bytes',
      default: 2 ** 20,
      minimum: 64,
      maximum: 2 ** 30,
    }),
    max_reservations_per_connection: amount({
      text: 'Most open reservations of one connection.',
      unit: 'reservations',
      default: 1024,
    }),
    max_handlers_per_map: amount({ text: 'Most handlers of one map.', unit: 'handlers', default: 16 }),
    max_producers_per_map: amount({
      text: 'Most producer ids whose state is kept for one map.',
      unit: 'producers',
      default: 16_384,
    }),
    max_ledger_runs_per_map: amount({
      text: 'Most runs (records of one producer back to back) for which the ledger of a map knows the producer; beyond them the oldest are told as unattributed.',
      unit: 'runs',
      default: 16_384,
      minimum: 2,
    }),
    max_queued_bytes: amount({
      text: 'Most unsent bytes of one socket; over it the slow client is closed with 4408.',
      unit: 'bytes',
      default: 2 ** 20,
      minimum: 1024,
    }),
    max_requests_per_minute: amount({
      text: 'Most HTTP requests a minute from one remote address; loopback is exempt unless the request was forwarded.',
      unit: 'requests per minute',
      default: 6000,
      zero: 'no limit',
    }),
    max_peek_samples: amount({
      text: 'Most samples that one peek (GET .../samples) returns.',
      unit: 'samples',
      default: 1000,
    }),
    max_unread_answer_bytes: amount({
      text: 'Most bytes of REST answers that clients have not read yet, all together; at it calls are answered with 503.',
      unit: 'bytes',
      default: 2 ** 26,
      minimum: 2 ** 20,
    }),
    answer_timeout_ms: amount({
      text: 'A connection whose client reads nothing of a REST answer for so long is ended.',
      unit: 'ms',
      default: 30_000,
    }),
    max_event_loop_delay_ms: amount({
      text: 'REST calls are answered with 503 while the event loop is later than this.',
      unit: 'ms',
      default: 1000,
      zero: 'off',
    }),
    max_disk_wait_ms: amount({
      text:
        'How long the event loop may wait in a second for the disk to take what is written; over it a thread writes for a while.' +
        ' For a data directory on a network, 0 is better.',
      unit: 'ms',
      default: 100,
      zero: 'always a thread',
    }),
    max_shadow_bytes: amount({
      text: 'Copies of samples that wait for one shadow handler; rounded up to a power of two, 4096 to 16777216.',
      unit: 'bytes',
      default: 2 ** 18,
    }),
    max_file_bytes_per_map: amount({
      text: 'Most bytes that the file handlers of one map keep on disk.',
      unit: 'bytes',
      default: 2 ** 30,
    }),
    max_quarantine_bytes_per_map: amount({
      text: 'Most bytes of damaged records that are kept aside for one map with a journal.',
      unit: 'bytes',
      default: 64 * 2 ** 20,
    }),
  },
  section('Bounds on everything that a remote peer can make grow.'),
);
