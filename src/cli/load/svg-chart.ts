import type { Scale } from './svg-scale.js';

export interface ChartSeries {
  readonly label: string;
  /** Colour by place: `s1`, `s2`. */
  readonly style: 's1' | 's2';
  /** `y` undefined: nothing is known there, the line breaks. */
  readonly points: readonly { readonly x: number; readonly y: number | undefined; readonly title: string }[];
  /** Whether the area below the line is tinted. */
  readonly isFilled?: boolean;
}

export interface ChartBand {
  readonly from: number;
  readonly to: number;
  readonly style: 'stall' | 'away';
  readonly title: string;
}

export interface Chart {
  readonly title: string;
  /** One sentence below the title. */
  readonly note: string;
  readonly x: Scale;
  readonly y: Scale;
  readonly series: readonly ChartSeries[];
  readonly bands?: readonly ChartBand[];
  /** Moments, shown as ticks at the top. */
  readonly marks?: readonly { readonly x: number; readonly title: string }[];
}

const WIDTH = 640;
const HEIGHT = 260;
const LEFT = 64;
const RIGHT = 16;
const TOP = 12;
const BOTTOM = 30;
const INNER_WIDTH = WIDTH - LEFT - RIGHT;
const INNER_HEIGHT = HEIGHT - TOP - BOTTOM;

/** A chart as a `<figure>` with inline SVG: no script, colours from the page's style sheet, titles as tooltips. */
export function svgChart(chart: Chart): string {
  const { x, y, series, bands = [], marks = [] } = chart;
  const px = (value: number): string => (LEFT + clamp(x.at(value)) * INNER_WIDTH).toFixed(1);
  const py = (value: number): string => (TOP + (1 - clamp(y.at(value))) * INNER_HEIGHT).toFixed(1);
  const grid = y.ticks.map(
    ({ value, label }) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${py(value)}" y2="${py(value)}"/>` +
      `<text class="tick" x="${LEFT - 8}" y="${py(value)}" dy="0.32em" text-anchor="end">${escapeHtml(label)}</text>`,
  );
  const ticks = x.ticks.map(
    ({ value, label }) =>
      `<line class="axis" x1="${px(value)}" x2="${px(value)}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM + 4}"/>` +
      `<text class="tick" x="${px(value)}" y="${HEIGHT - 10}" text-anchor="middle">${escapeHtml(label)}</text>`,
  );
  const shades = bands.map(
    ({ from, to, style, title }) =>
      `<rect class="band ${style}" x="${px(from)}" y="${TOP}" width="${Math.max(1, Number(px(to)) - Number(px(from))).toFixed(1)}" height="${INNER_HEIGHT}"><title>${escapeHtml(title)}</title></rect>`,
  );
  const moments = marks.map(
    ({ x: at, title }) =>
      `<path class="mark" d="M${px(at)} ${TOP}l-4 -8h8z"><title>${escapeHtml(title)}</title></path>`,
  );
  const lines = series.map((one) => drawSeries(one, px, py));
  return `<figure>
<figcaption><strong>${escapeHtml(chart.title)}</strong><span>${escapeHtml(chart.note)}</span>${legend(chart)}</figcaption>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(chart.title)}">
${shades.join('')}${grid.join('')}
<line class="axis" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${HEIGHT - BOTTOM}" y2="${HEIGHT - BOTTOM}"/>
${ticks.join('')}${moments.join('')}
${lines.join('\n')}
</svg>
</figure>`;
}

function drawSeries(
  { points, style, isFilled = false }: ChartSeries,
  px: (value: number) => string,
  py: (value: number) => string,
): string {
  const pieces: string[] = [];
  const areas: string[] = [];
  let piece: string[] = [];
  const end = (): void => {
    if (piece.length === 0) return;
    // A single point is a line of no length, which round caps make visible.
    const path = `M${piece.join('L')}${piece.length === 1 ? 'h0' : ''}`;
    pieces.push(path);
    if (isFilled) {
      const bottom = HEIGHT - BOTTOM;
      areas.push(`${path}V${bottom}H${piece[0]!.split(' ')[0]!}Z`);
    }
    piece = [];
  };
  for (const { x, y } of points) {
    if (y === undefined) end();
    else piece.push(`${px(x)} ${py(y)}`);
  }
  end();
  const dots = points.map(({ x, y, title }) =>
    y === undefined
      ? ''
      : `<circle class="hit" cx="${px(x)}" cy="${py(y)}" r="7"><title>${escapeHtml(title)}</title></circle>`,
  );
  const area = areas.length === 0 ? '' : `<path class="area ${style}" d="${areas.join('')}"/>`;
  return `${area}<path class="line ${style}" d="${pieces.join('')}"/><g class="${style}">${dots.join('')}</g>`;
}

function legend({ series, bands = [], marks = [] }: Chart): string {
  const items = series.length > 1 ? series.map(({ label, style }) => [style, label] as const) : [];
  const faults = [
    bands.some(({ style }) => style === 'stall') && (['stall', 'drain stalled'] as const),
    bands.some(({ style }) => style === 'away') && (['away', 'daemon away'] as const),
    marks.length > 0 && (['mark', 'connection cut'] as const),
  ].filter((item) => item !== false);
  const all = [...items, ...faults];
  if (all.length === 0) return '';
  return `<span class="legend">${all.map(([style, label]) => `<span class="key ${style}">${escapeHtml(label)}</span>`).join('')}</span>`;
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}

/** Text that may stand in HTML and in attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
