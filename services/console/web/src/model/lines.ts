/** Splits a stream of pieces into the JSON documents of its lines; what is not ended yet waits for the next piece. */
export class JsonLines {
  #rest = '';

  take(piece: string): unknown[] {
    const lines = (this.#rest + piece).split('\n');
    this.#rest = lines.pop() ?? '';
    return lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line) as unknown);
  }
}
