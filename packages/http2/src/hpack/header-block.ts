import { staticTable } from './static-table.ts';

/** The first entry of the static table with a name, and those whose value it has too. */
const nameIndex = new Map<string, number>();
const fieldIndex = new Map<string, number>();
staticTable.forEach(([name, value], at) => {
  if (!nameIndex.has(name)) nameIndex.set(name, at + 1);
  if (value !== '') fieldIndex.set(`${name}\n${value}`, at + 1);
});

/**
 * A header block in the given order that fills no table: the same bytes serve any number of messages on any connection. Names must be in
 * lower case; texts are bytes as characters (latin1).
 */
export function headerBlock(fields: Iterable<readonly [name: string, value: string]>): Buffer {
  const out: number[] = [];
  for (const [name, value] of fields) {
    const indexed = fieldIndex.get(`${name}\n${value}`);
    if (indexed !== undefined) {
      integer(out, 0x80, 7, indexed);
      continue;
    }
    const index = nameIndex.get(name) ?? 0;
    integer(out, 0, 4, index);
    if (index === 0) text(out, name);
    text(out, value);
  }
  return Buffer.from(out);
}

function text(out: number[], value: string): void {
  integer(out, 0, 7, value.length);
  for (let at = 0; at < value.length; at++) out.push(value.charCodeAt(at) & 0xff);
}

function integer(out: number[], mark: number, bits: number, value: number): void {
  const mask = (1 << bits) - 1;
  if (value < mask) {
    out.push(mark | value);
    return;
  }
  out.push(mark | mask);
  let rest = value - mask;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  out.push(rest);
}
