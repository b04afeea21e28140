/** What the agent tells the guard of a container, as JSON in a file. */
export interface ShimSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly tty: boolean;
  readonly stdin: boolean;
  /** stdin ends when the first client that used it leaves. */
  readonly stdinOnce: boolean;
  readonly logFile: string;
  readonly logBytesMax: number;
  readonly logFilesMax: number;
  readonly socket: string;
  /** Written when the process ended, see {@link ShimExit}. */
  readonly exitFile: string;
}

/** The first line on the guard's stdout: it runs, or it could not start. */
export type ShimReady =
  { readonly pid: number; readonly startedMs: number } | { readonly error: string; readonly code: string };

export interface ShimExit {
  readonly exitCode: number;
  readonly signal?: number;
  readonly finishedMs: number;
}

/** Types of the frames on the guard's socket: type (1 byte), length (4 bytes, big endian), payload. */
export const frame = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  exit: 3,
  resize: 4,
  endStdin: 5,
  subscribe: 6,
} as const;

export function encodeShimFrame(type: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head[0] = type;
  head.writeUInt32BE(payload.length, 1);
  return Buffer.concat([head, payload]);
}

const payloadBytesMax = 1 << 24;

/** Cuts the socket's bytes into frames. Throws RangeError for one that is too long. */
export class ShimDecoder {
  #rest: Buffer = Buffer.alloc(0);

  push(bytes: Buffer): { type: number; payload: Buffer }[] {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const frames: { type: number; payload: Buffer }[] = [];
    while (this.#rest.length >= 5) {
      const length = this.#rest.readUInt32BE(1);
      if (length > payloadBytesMax) throw new RangeError(`Frame of ${length} bytes is too long`);
      if (this.#rest.length < 5 + length) break;
      frames.push({ type: this.#rest[0] as number, payload: this.#rest.subarray(5, 5 + length) });
      this.#rest = this.#rest.subarray(5 + length);
    }
    return frames;
  }
}
