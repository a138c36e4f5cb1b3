/** The style sheet of a report. Light and dark follow the reader's system; nothing is loaded from anywhere. */
export const reportStyle = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #16181d; --soft: #5b6270; --hair: #e3e6eb;
  --s1: #1f6feb; --s2: #c2570c; --good: #147a3d; --bad: #c11c2a;
  --stall: rgb(194 87 12 / 14%); --away: rgb(193 28 42 / 16%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0f1115; --card: #171a21; --ink: #e8eaee; --soft: #9aa3b2; --hair: #2a2f3a;
    --s1: #6ba6ff; --s2: #f2994a; --good: #4cc380; --bad: #ff7b83;
    --stall: rgb(242 153 74 / 18%); --away: rgb(255 123 131 / 20%);
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 20px 48px; }
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 16px; margin: 0 0 8px; }
header { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; }
header p { flex-basis: 100%; margin: 0; color: var(--soft); }
.verdict { font-weight: 700; padding: 2px 12px; border-radius: 999px; border: 2px solid; }
.good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(160px, 1fr)); gap: 12px; margin: 20px 0; }
.tiles div, figure, section { background: var(--card); border: 1px solid var(--hair); border-radius: 10px; padding: 14px 16px; }
.tiles b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.tiles span { color: var(--soft); font-size: 13px; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 12px; }
figure { margin: 0; min-width: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 0 10px; align-items: baseline; margin-bottom: 6px; font-size: 13px; }
figcaption strong { font-size: 15px; }
figcaption > span { color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 0 12px; margin-left: auto; }
.key::before { content: ""; display: inline-block; width: 12px; height: 3px; border-radius: 2px; margin-right: 5px; vertical-align: middle; background: currentColor; }
.key.stall::before { height: 10px; background: var(--stall); } .key.away::before { height: 10px; background: var(--away); }
.key.s1::before { background: var(--s1); } .key.s2::before { background: var(--s2); }
.key.mark::before { width: 0; height: 0; background: none; border: 4px solid transparent; border-top: 7px solid var(--soft); border-bottom: 0; }
svg { display: block; width: 100%; height: auto; }
.grid { stroke: var(--hair); } .axis { stroke: var(--soft); }
.tick { fill: var(--soft); font-size: 11px; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.area { opacity: 0.14; } .area.s1 { fill: var(--s1); } .area.s2 { fill: var(--s2); }
.hit { fill: transparent; } .s1 .hit:hover { fill: var(--s1); } .s2 .hit:hover { fill: var(--s2); }
.band.stall { fill: var(--stall); } .band.away { fill: var(--away); } .mark { fill: var(--soft); }
.sections { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 12px; margin-top: 12px; align-items: start; }
section { min-width: 0; overflow-x: auto; }
/* The proof is the longest: what is short stands beside it, one below the other. */
@media (min-width: 1024px) { section:first-child { grid-row: span 2; } }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: right; padding: 4px 8px; border-bottom: 1px solid var(--hair); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 600; color: var(--soft); }
tr:last-child td { border-bottom: 0; }
ul { margin: 0; padding: 0; list-style: none; }
li { padding: 3px 0; overflow-wrap: anywhere; } li b { margin-right: 6px; } li small { display: block; color: var(--soft); font-size: 13px; }
`;
