/** One line of an op script; `reserves` is the reservation it ends, as the place of its reserve op in the script. */
interface Line {
  text: string;
  /** For `submit @N` and `discard @N`: the reserve line they mean. */
  target?: Line;
}

/** The shortest script found and what `differs` said of it. */
export interface Minimal<T> {
  script: string[];
  finding: T;
}

/**
 * Shortens a script while it still shows a difference: ever smaller stretches of ops are left out, down to single ones.
 *
 * @param script its first line is `trace NAME MAX_ENTRIES`
 * @param finding what `findDiffering` said of the whole script
 * @param findDiffering given candidates, the first that still differs, or undefined
 */
export async function minimise<T>(
  script: readonly string[],
  finding: T,
  findDiffering: (scripts: string[][]) => Promise<{ index: number; finding: T } | undefined>,
): Promise<Minimal<T>> {
  const header = script[0]!;
  let lines = linkLines(script.slice(1));
  let best = finding;
  for (let stretch = Math.ceil(lines.length / 2); stretch >= 1;) {
    const candidates = shorterVersions(lines, stretch);
    const found = await findDiffering(candidates.map((candidate) => render(header, candidate)));
    if (found) {
      lines = candidates[found.index]!;
      best = found.finding;
      stretch = Math.min(stretch, lines.length);
    } else {
      stretch = stretch === 1 ? 0 : Math.ceil(stretch / 2);
    }
  }
  return { script: render(header, lines), finding: best };
}

/** All versions that lack one stretch of ops, and with a reserve op what ended its reservation. */
function shorterVersions(lines: readonly Line[], stretch: number): Line[][] {
  const versions: Line[][] = [];
  for (let at = 0; at < lines.length; at += stretch) {
    const gone = new Set(lines.slice(at, at + stretch));
    versions.push(lines.filter((line) => !gone.has(line) && !(line.target && gone.has(line.target))));
  }
  return versions;
}

function linkLines(texts: readonly string[]): Line[] {
  const reserves: Line[] = [];
  return texts.map((text) => {
    const [op, argument] = text.split(' ');
    const line: Line = { text };
    if (op === 'reserve') reserves.push(line);
    if (argument?.startsWith('@')) line.target = reserves[Number(argument.slice(1))]!;
    return line;
  });
}

function render(header: string, lines: readonly Line[]): string[] {
  const places = new Map<Line, number>();
  const texts = lines.map((line) => {
    if (line.text.startsWith('reserve ')) places.set(line, places.size);
    return line.target ? `${line.text.split(' ')[0]} @${places.get(line.target)}` : line.text;
  });
  return [header, ...texts];
}
