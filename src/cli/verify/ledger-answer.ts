/** What GET /v1/maps/{map}/ledger answers, as far as the command line reads it. */
export interface AmountAnswer {
  samples: number;
  bytes: number;
}

export interface EquationAnswer {
  accepted: AmountAnswer;
  drained: AmountAnswer;
  discarded: AmountAnswer;
  dead_lettered: AmountAnswer;
  quarantined: AmountAnswer;
  buffered: AmountAnswer;
}

export interface LineAnswer extends EquationAnswer {
  source: string;
  producer: string | null;
  unattributed: AmountAnswer;
  holds: boolean;
  accepted_ever: AmountAnswer | null;
  hash: { accepted: string; drained: string; complete: boolean } | null;
}

export interface LedgerAnswer extends EquationAnswer {
  map: string;
  incarnation: string;
  durability: string;
  ledger: 'count' | 'hash';
  holds: boolean;
  counted: boolean;
  checks: { check: string; holds: boolean; detail: string | null }[];
  producers: LineAnswer[];
}
