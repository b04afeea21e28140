import { diffLines } from 'diff';

/** A line of a comparison; numbers count from 1, undefined where the line is not. */
export interface DiffLine {
  readonly kind: 'same' | 'added' | 'removed';
  readonly text: string;
  readonly before?: number;
  readonly after?: number;
}

/** A run of lines that are shown, or how many equal ones are not. */
export type DiffPart = { readonly lines: readonly DiffLine[] } | { readonly hidden: number };

const linesOf = (text: string): string[] => text.replace(/\n$/, '').split('\n');

/** Compares texts line by line; equal lines farther than `context` from a change are left out. */
export function compareTexts(before: string, after: string, context = 3): DiffPart[] {
  const lines: DiffLine[] = [];
  let [old, now] = [1, 1];
  for (const change of diffLines(before, after)) {
    for (const text of linesOf(change.value)) {
      if (change.added) lines.push({ kind: 'added', text, after: now++ });
      else if (change.removed) lines.push({ kind: 'removed', text, before: old++ });
      else lines.push({ kind: 'same', text, before: old++, after: now++ });
    }
  }
  const near = new Array<boolean>(lines.length).fill(false);
  for (const [index, line] of lines.entries())
    if (line.kind !== 'same')
      near.fill(true, Math.max(0, index - context), Math.min(lines.length, index + context + 1));
  const parts: DiffPart[] = [];
  for (let index = 0; index < lines.length;) {
    let end = index;
    while (end < lines.length && near[end] === near[index]) end++;
    parts.push(near[index] === true ? { lines: lines.slice(index, end) } : { hidden: end - index });
    index = end;
  }
  return parts;
}
