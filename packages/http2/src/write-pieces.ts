import type { Writable } from 'node:stream';

/** Gives a socket everything in one write. `written` is called once, after the last piece has left. */
export function writePieces(
  socket: Writable,
  pieces: readonly Uint8Array[],
  written: (error?: Error | null) => void,
): void {
  const last = pieces.length - 1;
  if (last > 0) socket.cork();
  for (let index = 0; index < last; index++) socket.write(pieces[index] as Uint8Array);
  socket.write(pieces[last] as Uint8Array, written);
  if (last > 0) socket.uncork();
}
