/** What a benchmark run leaves behind: bench/results/*.json, from which docs/BENCHMARKS.md is made. */
import type { Machine } from '../measure/machine.js';

/** One number of a table, measured once a try. */
export interface Cell {
  readonly values: readonly number[];
}

export interface Row {
  /** What was measured: the first column. */
  readonly name: string;
  /** By column. A column without a cell, or an empty one, was not measured for this row: see `note`. */
  readonly cells: Readonly<Record<string, Cell>>;
  /** How the contender was set up, or why it was not run. */
  readonly note?: string;
}

export interface Column {
  readonly key: string;
  /** Heading, unit included. */
  readonly title: string;
  /** Digits behind the point. */
  readonly digits: number;
}

/** One table. */
export interface Table {
  readonly key: string;
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
}

/** One of the goals that the project has set itself, and what came of it. */
export interface Target {
  readonly what: string;
  /** Such as "at least 0.8". */
  readonly goal: string;
  readonly measured: number;
  readonly digits: number;
  readonly holds: boolean;
}

export interface GroupResult {
  readonly group: string;
  readonly tables: readonly Table[];
  readonly targets: readonly Target[];
  /** What did not run, and why. */
  readonly skipped: readonly string[];
}

/** A group, and how it was run. */
export interface GroupRun extends GroupResult {
  /** ISO date. */
  readonly date: string;
  readonly commit: string;
  readonly quick: boolean;
  readonly tries: number;
}

export interface BenchResults {
  readonly machine: Machine;
  readonly groups: readonly GroupRun[];
}

export function atLeast(what: string, goal: number, measured: number, digits = 2): Target {
  return { what, goal: `at least ${goal}`, measured, digits, holds: measured >= goal };
}

export function atMost(what: string, goal: number, measured: number, digits = 2): Target {
  return { what, goal: `at most ${goal}`, measured, digits, holds: measured <= goal };
}
