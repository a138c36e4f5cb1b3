// @ts-check
/** What the terminal shows: pure functions from a snapshot to lines of text. */

/** @typedef {import('./monitor.js').Snapshot} Snapshot */
/** @typedef {(text: string) => string} Paint */
/** @typedef {Record<'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan', Paint>} Colours */

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
const HEIGHTS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const MIN_WIDTH = 40;
const MAX_WIDTH = 100;
const HALF_FULL = 0.6;
const NEARLY_FULL = 0.9;

/** @param {boolean} on @returns {Colours} */
export function colours(on) {
  /** @param {number} code @returns {Paint} */
  const sgr = (code) => (on ? (text) => `\x1b[${code}m${text}\x1b[39m` : (text) => text);
  /** @param {number} code @returns {Paint} */
  const weight = (code) => (on ? (text) => `\x1b[${code}m${text}\x1b[22m` : (text) => text);
  return { bold: weight(1), dim: weight(2), green: sgr(32), yellow: sgr(33), red: sgr(31), cyan: sgr(36) };
}

/**
 * The whole table.
 * @param {Snapshot} snapshot
 * @param {{ columns: number, colours: Colours, notes: readonly string[], seconds: number | undefined }} screen
 * @returns {string[]} lines that may be wider than the screen
 */
export function tableLines(snapshot, { columns, colours: paint, notes, seconds }) {
  const width = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, columns - 4));
  const { bold, dim, cyan } = paint;
  const time = `${(snapshot.elapsedMs / 1000).toFixed(1)} s${seconds === undefined ? '' : ` of ${seconds} s`}`;
  const title = 'ringbufd demo';
  const about = `  this host's /proc over WebSocket into the map "${snapshot.map}"`;
  return [
    '',
    bold(cyan(title)) + dim(about) + dim(time.padStart(width - title.length - about.length)),
    '',
    ...ringLines(snapshot, width, paint),
    '',
    ...countLines(snapshot, paint),
    '',
    ...producerLines(snapshot, paint),
    '',
    `${dim('NDJSON')}  ${snapshot.file.path}`,
    `${dim('      ')}  ${dim(`${size(snapshot.file.bytes)} in ${plural(snapshot.file.rotations + 1, 'file')}`)}`,
    `${dim('docs  ')}  ${cyan(`${snapshot.url}/docs`)}`,
    `${dim('try   ')}  curl -s ${snapshot.url}/v1/maps/${snapshot.map}`,
    `        curl -s '${snapshot.url}/v1/maps/${snapshot.map}/samples?limit=2'`,
    `        tail -F ${snapshot.file.path}`,
    ...notes.map((note) => `${dim('note  ')}  ${note}`),
    '',
    dim('Ctrl-C ends it and checks the books: nothing may be lost, nothing may come twice.'),
  ].map((line) => (line === '' ? line : `  ${line}`));
}

/** @param {Snapshot} snapshot @param {number} width @param {Colours} paint */
function ringLines({ map, usedBytes, ringBytes, fills }, width, { bold, dim, green, yellow, red }) {
  const fill = Math.min(1, usedBytes / ringBytes);
  const label = map.padEnd(8);
  const percent = `${Math.floor(fill * 100)} %`.padStart(6);
  const bytes = `  ${size(usedBytes)} of ${size(ringBytes)}`.padEnd(24);
  const cells = Math.max(10, width - label.length - percent.length - bytes.length);
  const colour = fill >= NEARLY_FULL ? red : fill >= HALF_FULL ? yellow : green;
  const bar = fillBar(fill, cells);
  const newest = fills.slice(-cells);
  return [
    `${bold(label)}${colour(bar)}${dim('·'.repeat(cells - bar.length))}${bold(percent)}${dim(bytes)}`,
    `${' '.repeat(8)}${dim(newest.map(height).join('').padStart(cells))}${dim('  ← fill, lately')}`,
  ];
}

/** @param {Snapshot} s @param {Colours} paint */
function countLines(s, { bold, dim }) {
  /** @type {(name: string, value: string, rate: string, other: string, otherValue: string) => string} */
  const row = (name, value, rate, other, otherValue) =>
    `${dim(name.padEnd(10))}${bold(value.padStart(10))}${rate.padStart(12)}      ${dim(other.padEnd(14))}${bold(otherValue.padStart(8))}`;
  return [
    row('accepted', count(s.accepted), `${count(s.acceptedPerSecond)}/s`, 'drains', count(s.drains)),
    row('drained', count(s.drained), `${count(s.drainedPerSecond)}/s`, 'wakeups', count(s.wakeups)),
    row('buffered', count(s.buffered), '', 'oldest sample', `${(s.oldestMs / 1000).toFixed(2)} s`),
  ];
}

/** @param {Snapshot} snapshot @param {Colours} paint */
function producerLines({ producers }, { bold, dim, yellow, green }) {
  /** @param {readonly string[]} cells */
  const row = ([name = '', mode = '', samples = '', rate = '', enospc = '', waits = '']) =>
    `${name.padEnd(10)}${mode.padEnd(22)}${samples.padStart(10)}${rate.padStart(10)}${enospc.padStart(9)}${waits.padStart(8)}`;
  return [
    dim(row(['producer', 'way in', 'samples', 'per s', 'ENOSPC', 'waits'])),
    ...producers.map((one) => {
      const enospc = one.enospc === undefined ? '–' : count(one.enospc);
      const cells = [one.name, one.mode, count(one.samples), count(one.perSecond), enospc, count(one.waits)];
      const state = one.waiting ? yellow('waits for room') : green('sends');
      return `${bold(row(cells).slice(0, 10))}${row(cells).slice(10)}   ${state}`;
    }),
  ];
}

/**
 * One line for places where nothing can be redrawn.
 * @param {Snapshot} s
 */
export function progressLine(s) {
  const waiting = s.producers.filter((one) => one.waiting).map(({ name }) => name);
  return [
    `${(s.elapsedMs / 1000).toFixed(1).padStart(6)} s`,
    `fill ${`${Math.floor((s.usedBytes / s.ringBytes) * 100)}`.padStart(3)} %`,
    `accepted ${count(s.accepted)} (${count(s.acceptedPerSecond)}/s)`,
    `drained ${count(s.drained)} (${count(s.drainedPerSecond)}/s)`,
    `drains ${count(s.drains)}`,
    `wakeups ${count(s.wakeups)}`,
    ...(waiting.length === 0 ? [] : [`waiting: ${waiting.join(', ')}`]),
  ].join('  ');
}

/**
 * A bar with a resolution of an eighth of a cell.
 * @param {number} fill 0 to 1
 * @param {number} cells
 */
export function fillBar(fill, cells) {
  const eighths = Math.round(fill * cells * 8);
  return '█'.repeat(eighths >> 3) + (EIGHTHS[eighths & 7] ?? '');
}

/** @param {number} fill 0 to 1 */
function height(fill) {
  return HEIGHTS[Math.min(HEIGHTS.length - 1, Math.floor(fill * HEIGHTS.length))] ?? '';
}

/** @param {number} number */
export function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/**
 * @param {number} number
 * @param {string} noun
 */
export function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? '' : 's'}`;
}

/** @param {number} bytes */
export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const kib = bytes / 1024;
  const [value, unit] = kib < 1024 ? [kib, 'KiB'] : [kib / 1024, 'MiB'];
  return `${value.toFixed(Number.isInteger(value) ? 0 : 1)} ${unit}`;
}
