/** A set of completion indexes, written as upstream writes it: `0,2-4,7`. */
export type IndexSet = ReadonlySet<number>;

/** Reads `0,2-4`; indexes of `completions` and above are dropped. */
export function parseIndexes(text: string | undefined, completions: number): Set<number> {
  const indexes = new Set<number>();
  for (const part of (text ?? '').split(',')) {
    if (part === '') continue;
    const [first, last] = part.split('-').map(Number) as [number, number | undefined];
    for (let index = first; index <= (last ?? first) && index < completions; index++) indexes.add(index);
  }
  return indexes;
}

export function formatIndexes(indexes: IndexSet): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let start = 0; start < sorted.length;) {
    let end = start;
    while (end + 1 < sorted.length && sorted[end + 1] === (sorted[end] as number) + 1) end++;
    // Two neighbours are listed, three and more are a range.
    if (end - start >= 2) parts.push(`${sorted[start]}-${sorted[end]}`);
    else for (let index = start; index <= end; index++) parts.push(String(sorted[index]));
    start = end + 1;
  }
  return parts.join(',');
}
