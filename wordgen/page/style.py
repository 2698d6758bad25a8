"""How the page looks: on a screen by day and by night, on a phone, on paper."""

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1d1d1f; --faint: #5d5f66; --line: #d9dade;
  --panel: #f5f5f7; --train: #2468c0; --valid: #bf3d0a; --ngram: #177245; --unigram: #6b46a8; }
@media (prefers-color-scheme: dark) { :root { --ground: #17181b; --text: #e8e8ea; --faint: #a2a4ab;
  --line: #3a3c42; --panel: #212327; --train: #7db2f5; --valid: #ff9a66; --ngram: #6fd09c; --unigram: #c3a6f2; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); overflow-wrap: anywhere;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Hiragino Sans", "Noto Sans CJK JP", "Yu Gothic",
  "Noto Sans", sans-serif; }
main { max-width: 54rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0; }
h2 { font-size: 1.35rem; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
p { margin: .6rem 0; }
.lead { font-size: 1.15rem; margin: 1rem 0; }
.faint, figcaption { color: var(--faint); }
.figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: .75rem; margin: 1.5rem 0; }
.figures div { background: var(--panel); border-radius: .6rem; padding: .75rem .9rem; }
.figures dt { color: var(--faint); font-size: .85rem; line-height: 1.3; }
.figures dd { margin: .15rem 0 0; font-size: 1.5rem; font-weight: 600; line-height: 1.25; overflow-wrap: normal; }
.figures dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--faint); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0; font-size: .95rem; }
caption { text-align: left; color: var(--faint); padding-bottom: .35rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem 1rem .35rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; overflow-wrap: normal; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
tr.strong td, tr.strong th { font-weight: 700; }
td.help { color: var(--faint); font-size: .85rem; }
table.settings th { white-space: nowrap; }
figure { margin: .75rem 0; }
figure.chart > svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 15px; font-family: inherit; }
svg polyline { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--faint); stroke-width: 1; }
svg .train { stroke: var(--train); stroke-width: 2; stroke-dasharray: 5 3; }
svg .valid { stroke: var(--valid); stroke-width: 2.5; }
svg .dot.train { fill: var(--train); stroke: none; }
svg .dot.valid { fill: var(--valid); stroke: none; }
svg .ngram { stroke: var(--ngram); stroke-width: 2; stroke-dasharray: 10 5; }
svg .unigram { stroke: var(--unigram); stroke-width: 2; stroke-dasharray: 2 5; }
svg .best { fill: var(--ground); stroke: var(--valid); stroke-width: 3; }
svg .to-best { stroke: var(--valid); stroke-width: 1; stroke-dasharray: 3 4; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .5rem 0; padding: 0; }
.legend svg { vertical-align: middle; margin-right: .5rem; }
blockquote { margin: .25rem 0 0; padding: .6rem .9rem; background: var(--panel); border-left: 3px solid var(--line);
  border-radius: 0 .4rem .4rem 0; white-space: pre-wrap; }
.best-epoch blockquote { border-left-color: var(--valid); }
details { margin: 1rem 0; }
summary { cursor: pointer; color: var(--faint); padding: .25rem 0; }
pre { background: var(--panel); border-radius: .4rem; padding: .6rem .9rem; margin: .35rem 0 1rem;
  white-space: pre-wrap; }
code, pre { font-family: ui-monospace, "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: .9em; }
footer { margin-top: 3rem; color: var(--faint); font-size: .85rem; }
@media (max-width: 40rem) {
  main { padding: 1.25rem 1rem 3rem; }
  svg text { font-size: 24px; }
  .figures { grid-template-columns: repeat(2, 1fr); }
  .figures dd { font-size: 1.25rem; }
  table { font-size: .85rem; }
  th, td { padding-right: .5rem; }
  .scroll th { font-weight: 500; }
  table.settings, table.settings :is(caption, tbody, tr, th, td) { display: block; }
  table.settings thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  table.settings tr { padding: .4rem 0; border-bottom: 1px solid var(--line); }
  table.settings th, table.settings td { border: 0; padding: .05rem 0; }
}
@media print {
  :root { color-scheme: light; --ground: #fff; --text: #000; --faint: #444; --line: #bbb; --panel: #f4f4f4;
    --train: #2468c0; --valid: #bf3d0a; --ngram: #177245; --unigram: #6b46a8; }
  main { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; }
  figure, blockquote, tr, .figures div, pre { break-inside: avoid; }
  .figures div, blockquote, pre, svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
