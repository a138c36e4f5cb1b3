import type { GroupResult } from '../report/results.js';

export interface GroupContext {
  /** Fewer and shorter tries: the whole benchmark in under 90 s. */
  readonly quick: boolean;
  /** How often each contender is measured. */
  readonly tries: number;
  /** Says what is going on. */
  readonly progress: (text: string) => void;
}

/** One part of the benchmark: a file or folder of its own. */
export interface Group {
  readonly name: string;
  /** Runs only when it is asked for by name: it takes minutes. */
  readonly onRequest?: boolean;
  readonly run: (context: GroupContext) => Promise<GroupResult>;
}
