import { paletteDeclarations, seriesCount } from './figures/palette.js';

/** The style sheet of the report. */
export const pageStyle = `
:root { color-scheme: light dark; ${paletteDeclarations('light')} --surface: #f6f7f9; --good: #12855f; }
@media (prefers-color-scheme: dark) { :root { ${paletteDeclarations('dark')} --surface: #1c2027; --good: #45c99c; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 2.5rem) 4rem; max-width: 78rem;
  background: var(--background); color: var(--ink);
  font: 400 1rem/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif;
}
.kicker { margin: 0; color: var(--muted); font-size: 0.85rem; letter-spacing: 0.02em; overflow-wrap: anywhere; }
h1 { margin: 0.2rem 0 0.8rem; font-size: clamp(1.8rem, 4.5vw, 2.6rem); line-height: 1.15; letter-spacing: -0.02em; }
h2 { margin: 0 0 0.8rem; font-size: 1.35rem; letter-spacing: -0.01em; }
h3 { margin: 0 0 0.5rem; font-size: 0.95rem; }
.lead { max-width: 62rem; font-size: 1.08rem; }
.lead, section p { overflow-wrap: break-word; text-wrap: pretty; }
section { margin-top: 3rem; }
section > p { max-width: 62rem; }
nav { margin-top: 1.2rem; font-size: 0.9rem; }
nav a { margin-right: 1.1rem; color: var(--series-0); text-decoration: none; }
nav a:hover { text-decoration: underline; }
.note { color: var(--muted); font-size: 0.88rem; }
.alarm { margin-top: 1.5rem; padding: 1rem 1.2rem; border: 2px solid var(--alarm); border-radius: 0.6rem; }
.alarm strong { color: var(--alarm); }
.alarm ul { margin: 0.5rem 0 0; padding-left: 1.2rem; }
.checks { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 0.8rem; margin: 0 0 1.6rem; padding: 0; list-style: none; }
.checks li { padding: 0.8rem 1rem; border-radius: 0.6rem; background: var(--surface); border-left: 4px solid var(--muted); }
.checks .good { border-color: var(--good); }
.checks .bad { border-color: var(--alarm); }
.checks .bad .figure { color: var(--alarm); }
.checks .figure { display: block; font-size: 1.35rem; font-weight: 650; font-variant-numeric: tabular-nums; }
.checks .words { color: var(--muted); font-size: 0.86rem; line-height: 1.4; display: block; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1.4rem 1.8rem; }
.panels.two { grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.chart { margin: 0; min-width: 0; }
.chart figcaption { margin-bottom: 0.3rem; font-weight: 600; font-size: 0.95rem; }
.plot svg { display: block; width: 100%; height: auto; max-width: 30rem; overflow: visible; }
.frontier > input { position: absolute; opacity: 0; pointer-events: none; }
.frontier > label { display: inline-block; margin: 0 0.4rem 0.9rem 0; padding: 0.35rem 0.9rem; border: 1px solid var(--grid); border-radius: 2rem; font-size: 0.9rem; color: var(--muted); cursor: pointer; }
.frontier > input:checked + label { background: var(--ink); border-color: var(--ink); color: var(--background); }
.frontier > input:focus-visible + label { outline: 2px solid var(--series-0); outline-offset: 2px; }
#by-proxy:checked ~ .by-judge, #by-judge:checked ~ .by-proxy { display: none; }
.key { display: flex; flex-wrap: wrap; gap: 0.3rem 1.3rem; margin: 0 0 0.9rem; padding: 0; list-style: none; font-size: 0.9rem; }
.method { white-space: nowrap; }
.mark { display: inline-block; width: 1em; text-align: center; }
.cross { color: var(--muted); }
.line { display: inline-block; width: 1.7rem; vertical-align: middle; border-top: 2.5px solid var(--ink); }
.line.dashed { border-top: 2px dashed var(--muted); }
${Array.from({ length: seriesCount }, (_, index) => `.series-${index} { color: var(--series-${index}); }`).join('\n')}
.scroll { overflow-x: auto; margin-bottom: 1.8rem; }
table { width: 100%; border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { padding: 0 0 0.4rem; text-align: left; font-weight: 600; font-size: 0.95rem; }
th, td { padding: 0.42rem 0.7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
thead th { color: var(--muted); font-weight: 500; }
th:first-child { position: sticky; left: 0; padding-left: 0; text-align: left; background: var(--background); font-weight: 500; }
tbody tr:hover > * { background: var(--surface); }
.interval { color: var(--muted); }
.above { background: color-mix(in srgb, var(--alarm) 16%, transparent); }
.above strong { display: block; color: var(--alarm); font-size: 0.8rem; }
.sample { margin-bottom: 0.8rem; border: 1px solid var(--grid); border-radius: 0.6rem; }
.sample > summary { padding: 0.75rem 1rem; }
summary { cursor: pointer; }
.prompt { font-weight: 600; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.policies { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); gap: 1rem 1.6rem; padding: 0.4rem 1rem 1rem; }
.policy { min-width: 0; padding-top: 0.7rem; border-top: 1px solid var(--grid); }
.policy ol { margin: 0; padding: 0; list-style: none; }
.detail { color: var(--muted); font-weight: 400; }
.response { margin: 0.5rem 0 0.1rem; white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; }
.rewards { margin: 0 0 0.7rem; color: var(--muted); font-size: 0.75rem; font-variant-numeric: tabular-nums; }
.rank { display: inline-block; min-width: 4.2em; color: var(--ink); font-weight: 600; }
meter { width: 2rem; height: 0.6rem; vertical-align: middle; }
dl { margin: 0; font-size: 0.9rem; }
dl div { display: grid; grid-template-columns: 12rem 1fr; gap: 0.8rem; padding: 0.35rem 0; border-bottom: 1px solid var(--grid); }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: 1rem; border-radius: 0.6rem; background: var(--surface); font: 0.82rem/1.5 ui-monospace, 'SF Mono', Menlo, Consolas, monospace; }
#tooltip { position: fixed; z-index: 1; display: none; max-width: 20rem; padding: 0.5rem 0.7rem; border: 1px solid var(--grid); border-radius: 0.5rem; background: var(--background); box-shadow: 0 4px 18px rgb(0 0 0 / 18%); font-size: 0.82rem; pointer-events: none; }
#tooltip div { display: grid; grid-template-columns: auto 1fr; gap: 0.8rem; font-variant-numeric: tabular-nums; }
#tooltip dt { white-space: nowrap; }
footer { margin-top: 3.5rem; color: var(--muted); font-size: 0.8rem; }
@media (max-width: 40rem) { dl div { grid-template-columns: 1fr; gap: 0; } th, td { padding: 0.4rem 0.5rem; } }
@media print { .frontier > label { display: none; } .sample { break-inside: avoid; } }
`;
