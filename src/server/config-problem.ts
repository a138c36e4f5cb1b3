/** One thing wrong, or doubtful, in the configuration. */
export interface ConfigProblem {
  /** Key path such as `maps[0].max_entries`; empty when the whole file is meant. */
  path: string;
  /** What is wrong and what to do about it, without the path. */
  message: string;
  /** Where the value came from: `ringbufd.yaml:12`, an environment variable or a flag. Absent for defaults. */
  where?: string;
}

/** The configuration cannot be used. Carries every problem found, not just the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly ConfigProblem[]) {
    super(problems.map(formatProblem).join('\n'));
  }
}

/** One line for people: where, key path, message. */
export function formatProblem(problem: ConfigProblem): string {
  return [problem.where, problem.path, problem.message].filter((part) => part).join(': ');
}

/** Appends a key (text) or an index (number) to a key path. */
export function joinPath(path: string, step: string | number): string {
  if (typeof step === 'number') return `${path}[${step}]`;
  return path === '' ? step : `${path}.${step}`;
}

/** The candidate that somebody who wrote `word` most likely meant, or `undefined` when none is near. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  // Words of a configuration are short; what is longer is not a typing error of one of its keys.
  if (a.length > 100) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, replaced);
      if (a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length] ?? 0;
}
