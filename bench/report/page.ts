import { escapeText } from './svg.ts';

/** A heading with what stands below it; markup. */
export interface Section {
  readonly title: string;
  /** Where and when it was measured. */
  readonly source: string;
  readonly figures: readonly Figure[];
}

export interface Figure {
  readonly title: string;
  /** Markup: an `<svg>` or a table. */
  readonly body: string;
  readonly isWide?: boolean;
}

const STYLE = `
:root { color-scheme: light dark; --page: #fff; --panel: #f6f8fa; --text: #1f2328; --faint: #59636e; --grid: #d5dae0;
  --own: #0b6bcb; --other: #9aa4af; --good: #1a7f37; --bad: #c4301c;
  --c0: #0b6bcb; --c1: #d1700f; --c2: #1a7f37; --c3: #8250df; --c4: #c4301c; --c5: #0a8a8a; --c6: #6e7781; }
@media (prefers-color-scheme: dark) { :root { --page: #0d1117; --panel: #161b22; --text: #e6edf3; --faint: #9198a1;
  --grid: #30363d; --own: #4c9dff; --other: #6e7681; --good: #3fb950; --bad: #ff7b72;
  --c0: #4c9dff; --c1: #f0953f; --c2: #3fb950; --c3: #b58cff; --c4: #ff7b72; --c5: #39c5cf; --c6: #8b949e; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 24px; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 20px; margin: 36px 0 2px; } h3 { font-size: 15px; margin: 0 0 8px; }
p { margin: 0 0 12px; color: var(--faint); font-size: 13px; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 520px), 1fr)); gap: 16px; }
figure { margin: 0; padding: 14px 16px; background: var(--panel); border: 1px solid var(--grid); border-radius: 8px;
  overflow-x: auto; }
figure.wide { grid-column: 1 / -1; }
svg { display: block; width: 100%; height: auto; font: 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
svg text { fill: var(--faint); } svg text.own { fill: var(--text); font-weight: 600; } svg text.value { fill: var(--text); }
svg .axis { fill: var(--text); } .grid { stroke: var(--grid); } .base { stroke: var(--faint); }
.bar { fill: var(--other); } .bar.ours { fill: var(--own); } .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
${[0, 1, 2, 3, 4, 5, 6].map((index) => `.line.c${index} { stroke: var(--c${index}); } .dot.c${index}, .swatch.c${index} { fill: var(--c${index}); }`).join('\n')}
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--grid); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, td.words, th.words { text-align: left; } td.words, td:first-child { white-space: normal; }
th { color: var(--faint); font-weight: 600; } tr.ours td:first-child { font-weight: 600; }
.met { color: var(--good); font-weight: 600; } .missed { color: var(--bad); font-weight: 600; } .open { color: var(--faint); }
`;

/** A page that needs nothing but itself: no script, no network. */
export function drawPage(title: string, lead: string, sections: readonly Section[]): string {
  const drawn = sections.map(({ title, source, figures }) => {
    const inner = figures.map(
      (figure) =>
        `<figure${figure.isWide ? ' class="wide"' : ''}><h3>${escapeText(figure.title)}</h3>${figure.body}</figure>`,
    );
    return `<h2>${escapeText(title)}</h2>\n<p>${escapeText(source)}</p>\n<div class="figures">\n${inner.join('\n')}\n</div>`;
  });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeText(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeText(title)}</h1>
<p>${escapeText(lead)}</p>
${drawn.join('\n')}
</body>
</html>
`;
}

export interface Cell {
  readonly text: string;
  readonly kind?: string;
}

/** @param rows Cells by column; `isOurs` marks a row. */
export function drawTable(
  head: readonly (string | Cell)[],
  rows: readonly { readonly cells: readonly (string | Cell)[]; readonly isOurs?: boolean }[],
): string {
  const markup = (name: 'td' | 'th', value: string | Cell): string => {
    const { text, kind } = typeof value === 'string' ? { text: value } : value;
    return `<${name}${kind ? ` class="${kind}"` : ''}>${escapeText(text)}</${name}>`;
  };
  const cell = (value: string | Cell): string => markup('td', value);
  const lines = rows.map(({ cells, isOurs }) => `<tr${isOurs ? ' class="ours"' : ''}>${cells.map(cell).join('')}</tr>`);
  const heads = head.map((value) => markup('th', value)).join('');
  return `<table><thead><tr>${heads}</tr></thead><tbody>${lines.join('')}</tbody></table>`;
}
