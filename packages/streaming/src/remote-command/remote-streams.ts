import type { Readable, Writable } from 'node:stream';

export interface TerminalSize {
  readonly width: number;
  readonly height: number;
}

/** Which streams a client asks for. */
export interface StreamOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** How a command ended: with an exit code, not at all, or as another server put it (a Status as JSON, for version 4 and later). */
export type RemoteOutcome =
  { readonly exitCode: number } | { readonly error: string } | { readonly status: Buffer };

/** The client's side of exec or attach, whatever protocol it speaks. */
export interface RemoteStreams {
  /** Ends when the client closes its stdin or goes away. */
  readonly stdin: Readable | undefined;
  readonly stdout: Writable | undefined;
  readonly stderr: Writable | undefined;
  /** Sizes that came before the first listener are delivered to it. One listener. */
  onResize(listener: (size: TerminalSize) => void): void;
  /** Called once when the client is gone. */
  onClose(listener: () => void): void;
  /** Ends the output streams, reports how it went and closes the connection. */
  finish(outcome: RemoteOutcome): Promise<void>;
}

/** Versions of the protocol that differ in what the error stream says. */
export const statusSince = 4;

/**
 * What the error stream carries: from version 4 a Status as JSON, before that a text that only failures have. The reason NonZeroExitCode
 * and the cause ExitCode are read by clients.
 */
export function outcomeBytes(outcome: RemoteOutcome, version: number): Buffer {
  if ('status' in outcome) return outcome.status;
  if ('exitCode' in outcome && outcome.exitCode === 0) {
    return version >= statusSince
      ? Buffer.from(JSON.stringify({ metadata: {}, status: 'Success' }))
      : Buffer.alloc(0);
  }
  const message =
    'exitCode' in outcome
      ? `command terminated with non-zero exit code: exit status ${outcome.exitCode}`
      : outcome.error;
  if (version < statusSince) return Buffer.from(message);
  const status =
    'exitCode' in outcome
      ? {
          metadata: {},
          status: 'Failure',
          message,
          reason: 'NonZeroExitCode',
          details: { causes: [{ reason: 'ExitCode', message: String(outcome.exitCode) }] },
        }
      : {
          metadata: {},
          status: 'Failure',
          message: `Internal error occurred: ${message}`,
          reason: 'InternalError',
          details: { causes: [{ message }] },
          code: 500,
        };
  return Buffer.from(JSON.stringify(status));
}

/** Reads the JSON objects `{"Width":…,"Height":…}` of a resize stream; pieces may be cut anywhere. */
export class ResizeReader {
  #text = '';

  push(bytes: Buffer): TerminalSize[] {
    this.#text += bytes.toString('utf8');
    const sizes: TerminalSize[] = [];
    for (let end = this.#text.indexOf('}'); end >= 0; end = this.#text.indexOf('}')) {
      const piece = this.#text.slice(0, end + 1);
      this.#text = this.#text.slice(end + 1);
      try {
        const { Width: width, Height: height } = JSON.parse(piece) as { Width: unknown; Height: unknown };
        if (isSize(width) && isSize(height)) sizes.push({ width, height });
      } catch {
        // Not a size: the next one counts.
      }
    }
    if (this.#text.length > 4096) this.#text = '';
    return sizes;
  }
}

const isSize = (value: unknown): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value > 0 && value <= 0xffff;

/** Holds sizes until somebody listens. */
export class ResizeSlot {
  #listener: ((size: TerminalSize) => void) | undefined;
  #early: TerminalSize[] = [];

  put(size: TerminalSize): void {
    if (this.#listener) this.#listener(size);
    else this.#early = [size];
  }

  listen(listener: (size: TerminalSize) => void): void {
    this.#listener = listener;
    for (const size of this.#early.splice(0)) listener(size);
  }
}
