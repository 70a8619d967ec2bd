/**
 * A table as text, its columns those of the rows in the order in which they first appear; one that a row does not have is
 * left empty there. What looks like a figure is aligned to the right.
 */
export function formatTable(rows: readonly Readonly<Record<string, string>>[]): string {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = rows.map((row) => names.map((name) => row[name] ?? ''));
  const columns = names.map((name, index) => {
    const cells = lines.map((line) => line[index] ?? '');
    const width = Math.max(name.length, ...cells.map((cell) => cell.length));
    const isFigure = cells.every((cell) => /^(-?[\d,.]+( \S{1,3})?|-?)$/.test(cell));
    return (cell: string) => (isFigure ? cell.padStart(width) : cell.padEnd(width));
  });
  const format = (cells: readonly string[]) =>
    cells
      .map((cell, index) => columns[index]?.(cell))
      .join('  ')
      .trimEnd();
  const head = format(names);
  return [
    head,
    '-'.repeat(Math.max(head.length, ...lines.map((line) => format(line).length))),
    ...lines.map(format),
  ].join('\n');
}
