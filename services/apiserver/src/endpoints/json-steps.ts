import { jsonText } from '@pilothouse/apimachinery';
import type { Steps } from '@pilothouse/base';

const pieceBytes = 64 * 1024;

/** JSON of plain data in steps of a member at `depth` (0: all of it is one step). The same bytes as in one go. */
export function* jsonSteps(value: unknown, depth: number): Steps<Buffer> {
  const pieces: Buffer[] = [];
  let text = '';
  for (const part of parts(value, depth)) {
    text += part;
    if (text.length >= pieceBytes) {
      pieces.push(Buffer.from(text));
      text = '';
    }
    yield;
  }
  pieces.push(Buffer.from(text));
  return Buffer.concat(pieces);
}

function* parts(value: unknown, depth: number): Generator<string> {
  if (depth === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield jsonText(value);
    return;
  }
  let before = '{';
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    yield `${before}${JSON.stringify(name)}:`;
    yield* parts(member, depth - 1);
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}
