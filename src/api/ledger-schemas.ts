/** Shapes of the ledger, as REST shows it. */
import { Type } from 'typebox';
import { NAME_PATTERN, NAME_RULE } from '../server/names.js';

const Amount = (description: string) =>
  Type.Object(
    {
      samples: Type.Integer({ description: 'records' }),
      bytes: Type.Integer({ description: 'bytes of these records: headers, payloads and padding' }),
    },
    { description },
  );

const equation = {
  accepted: Amount('took room in the ring, reservations included'),
  drained: Amount('a handler answered for them'),
  discarded: Amount('discarded reservations that a drain skipped'),
  dead_lettered: Amount('went to a dead-letter map'),
  quarantined: Amount('could not be verified after a crash'),
  buffered: Amount('in the ring, open reservations and discards not yet skipped included'),
};

export const LedgerQuery = Type.Object(
  {
    producer: Type.Optional(
      Type.String({ pattern: NAME_PATTERN, description: `only this producer's line: ${NAME_RULE}` }),
    ),
    limit: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 1000,
      description: 'most lines returned; the sums and checks are over all of them',
    }),
  },
  { additionalProperties: false },
);

export const LedgerLineInfo = Type.Object(
  {
    source: Type.Enum(
      ['producer', 'anonymous', 'rest', 'daemon', 'before_restart', 'forgotten', 'unattributed'],
      {
        description:
          'producer: one with an id; anonymous: all connections without one; rest: POST …/samples; daemon: emitted by ' +
          'handlers, dead letters and replays; before_restart: what came before the daemon was started and is in no line of a producer; forgotten: ' +
          'producers whose state is gone; unattributed: see limits.max_ledger_runs_per_map',
      },
    ),
    producer: Type.Union([Type.String(), Type.Null()]),
    ...equation,
    unattributed: Amount('counted by the line "unattributed" from here on'),
    holds: Type.Boolean({ description: 'no term is less than nothing' }),
    accepted_ever: Type.Union([Amount('over all restarts of the daemon'), Type.Null()], {
      description: 'of a producer with an id',
    }),
    hash: Type.Union(
      [
        Type.Object({
          accepted: Type.String({ description: '12 hexadecimal digits' }),
          drained: Type.String({ description: '12 hexadecimal digits' }),
          complete: Type.Boolean({ description: 'the two can be compared' }),
        }),
        Type.Null(),
      ],
      { description: 'of maps with "ledger":"hash"; the function is in docs/LEDGER.md' },
    ),
  },
  { title: 'LedgerLine' },
);

export const LedgerInfo = Type.Object(
  {
    map: Type.String(),
    incarnation: Type.String(),
    durability: Type.Enum(['memory', 'written', 'synced']),
    ledger: Type.Enum(['count', 'hash']),
    holds: Type.Boolean({ description: 'every check holds' }),
    ...equation,
    counted: Type.Boolean({
      description:
        'buffered.samples was counted in the ring, record by record; false: it is what the books say',
    }),
    checks: Type.Array(
      Type.Object({
        check: Type.String(),
        holds: Type.Boolean(),
        detail: Type.Union([Type.String(), Type.Null()], { description: 'both sides, when they differ' }),
      }),
      { description: 'what was compared' },
    ),
    producers: Type.Array(LedgerLineInfo),
    lines: Type.Integer({ description: 'lines there are' }),
    runs: Type.Object(
      {
        used: Type.Integer({
          description: 'entries that tell which producer a stretch of the ring belongs to',
        }),
        merged: Type.Integer({ description: 'entries given up because there were too many' }),
      },
      { description: 'bounded by limits.max_ledger_runs_per_map' },
    ),
  },
  { title: 'Ledger', description: 'What became of every record that the map has accepted' },
);
