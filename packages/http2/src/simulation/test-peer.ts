import { frameHeaderBytes, preface, settingsPayload } from '../protocol.ts';
import { headerBlock } from '../hpack/header-block.ts';
import { HeaderDecoder } from '../hpack/header-decoder.ts';
import { ServerConnection, type ServerConnectionOptions } from '../server-connection.ts';
import type { ServerStream } from '../server-stream.ts';

// For tests only: a client made of bytes, and a server whose output is read as text.

const typeNames = [
  'DATA',
  'HEADERS',
  'PRIORITY',
  'RST_STREAM',
  'SETTINGS',
  'PUSH_PROMISE',
  'PING',
  'GOAWAY',
  'WINDOW_UPDATE',
  'CONTINUATION',
];

export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(frameHeaderBytes);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const hello = Buffer.concat([preface, frame(4, 0, 0, settingsPayload([]))]);

/** A header block of a request for `/`; `more` overrides and adds fields, undefined leaves one out. */
export function requestBlock(more: Readonly<Record<string, string | undefined>> = {}): Buffer {
  const fields = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'a', ...more };
  return headerBlock(
    Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined),
  );
}

export const request = (
  id: number,
  isEnd = true,
  more: Readonly<Record<string, string | undefined>> = {},
): Buffer => frame(1, isEnd ? 5 : 4, id, requestBlock(more));

/** A server's side under test: what it said and what it was told, one line each. */
export class TestServer {
  nowMs = 0;
  readonly streams = new Map<number, ServerStream>();
  readonly events: string[] = [];
  readonly connection: ServerConnection;
  isEnded = false;
  sentBytes = 0;
  readonly #decoder = new HeaderDecoder();

  constructor(
    options: Partial<ServerConnectionOptions> = {},
    onRequest: (stream: ServerStream) => void = () => {},
  ) {
    this.connection = new ServerConnection(
      { monotonic: () => this.nowMs, ...options },
      {
        onRequest: (stream, headers) => {
          const { id } = stream;
          this.streams.set(id, stream);
          const shown = Object.entries(headers).map(([name, value]) => `${name}=${value}`);
          this.events.push(`request ${id} ${shown.join(' ')}`);
          stream.receiver = {
            receiveData: (piece) => void this.events.push(`content ${id} ${piece.length}`),
            receiveEnd: (trailers) =>
              void this.events.push(
                `complete ${id}${trailers === undefined ? '' : ` ${JSON.stringify(trailers)}`}`,
              ),
            streamClosed: (code) => void this.events.push(`closed ${id} ${code}`),
            streamDrained: () => void this.events.push(`drained ${id}`),
          };
          onRequest(stream);
        },
        onOutput: () => {},
        onEnd: (error) => {
          this.isEnded = true;
          this.events.push(error === undefined ? 'ended' : `ended ${error.code} ${error.message}`);
        },
      },
    );
  }

  /** What happened and what was sent since the last call. */
  report(): string[] {
    const bytes = Buffer.concat(this.connection.takeOutput() as Uint8Array[]);
    const lines = this.events.splice(0);
    this.sentBytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      const length = bytes.readUIntBE(at, 3);
      const payload = bytes.subarray(at + frameHeaderBytes, at + frameHeaderBytes + length);
      lines.push(
        `> ${this.#describe(bytes[at + 3] as number, bytes[at + 4] as number, bytes.readUInt32BE(at + 5), payload)}`,
      );
      at += frameHeaderBytes + length;
    }
    return lines;
  }

  receive(...pieces: readonly Uint8Array[]): string[] {
    for (const piece of pieces) this.connection.receive(Buffer.from(piece));
    return this.report();
  }

  #describe(type: number, flags: number, id: number, payload: Buffer): string {
    const name = `${typeNames[type]} ${id}${flags === 0 ? '' : ` flags ${flags}`}`;
    switch (type) {
      case 0:
        return `${name} ${payload.length} bytes`;
      case 1: {
        const fields: string[] = [];
        this.#decoder.decode(payload, (field) => void fields.push(`${field.name}=${field.value}`));
        return `${name} ${fields.join(' ')}`;
      }
      case 3:
      case 8:
        return `${name} ${payload.readUInt32BE(0)}`;
      case 4: {
        const settings: string[] = [];
        for (let at = 0; at < payload.length; at += 6)
          settings.push(`${payload.readUInt16BE(at)}=${payload.readUInt32BE(at + 2)}`);
        return [name, ...settings].join(' ');
      }
      case 7:
        return `${name} last ${payload.readUInt32BE(0)} code ${payload.readUInt32BE(4)} ${payload.subarray(8).toString()}`;
      default:
        return `${name} ${payload.toString('hex')}`;
    }
  }
}
