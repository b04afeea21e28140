import tls from 'node:tls';
import { headerBlock } from '@pilothouse/http2';
import type { Checks } from '../checks.ts';
import type { AuthServer } from '../auth/server.ts';
import { expectAnswer, staticToken } from '../auth/server.ts';

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const frameKind = { headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, continuation: 9 } as const;
const enhanceYourCalm = 11;

interface End {
  /** Code of the GOAWAY that came; undefined: none. */
  readonly code: number | undefined;
  /** The connection was closed by the server. */
  readonly isClosed: boolean;
  readonly statuses: readonly string[];
}

/** Floods and crooked requests by HTTP/2, written byte by byte: the connection ends, everybody else is served meanwhile. */
export async function http2Attacks(checks: Checks, server: AuthServer): Promise<void> {
  const request = (id: number, more: Readonly<Record<string, string>> = {}, flags = 5): Buffer =>
    frame(frameKind.headers, flags, id, head(more));
  const floods: Readonly<Record<string, (socket: tls.TLSSocket) => void>> = {
    'rapid reset: 20,000 streams that are cancelled at once': (socket) => {
      for (let index = 0; index < 20_000; index++) {
        const id = 1 + 2 * index;
        socket.write(Buffer.concat([request(id), frame(frameKind.reset, 0, id, uint32(8))]));
      }
    },
    'a header block without end': (socket) => {
      socket.write(frame(frameKind.headers, 1, 1, head()));
      for (let index = 0; index < 2000; index++)
        socket.write(frame(frameKind.continuation, 0, 1, Buffer.alloc(16_000)));
    },
    '50,000 pings': (socket) => {
      for (let index = 0; index < 50_000; index++) socket.write(frame(frameKind.ping, 0, 0, Buffer.alloc(8)));
    },
    '50,000 settings': (socket) => {
      for (let index = 0; index < 50_000; index++) socket.write(frame(frameKind.settings, 0, 0));
    },
  };
  for (const [name, flood] of Object.entries(floods))
    await checks.check(`attack: HTTP/2: ${name}: the connection ends, others are served`, async () => {
      const ended = connect(server, flood, 20_000);
      expectAnswer(await server.admin('/api/v1/namespaces'), 200);
      const { code, isClosed } = await ended;
      if (!isClosed || (code !== undefined && code !== enhanceYourCalm))
        throw new Error(`closed: ${isClosed}, GOAWAY ${code}`);
      expectAnswer(await server.admin('/api/v1/namespaces'), 200);
    });
  const crooked: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'a path with a second request in it': {
      ':path': '/version HTTP/1.1\r\nHost: x\r\n\r\nGET /api/v1/secrets',
    },
    'a path with a space': { ':path': '/api/v1/secrets HTTP/1.1' },
    'a method with a line break': { ':method': 'GET\r\nX-Remote-User: admin' },
    'a header value with a line break': { 'x-a': 'b\r\nX-Remote-User: admin' },
    'a header name in capitals': { 'X-Remote-User': 'admin' },
    'a header name with a colon': { 'x-remote-user:': 'admin' },
    'transfer-encoding': { 'transfer-encoding': 'chunked' },
    'a path that is a URL': { ':path': 'https://169.254.169.254/latest/meta-data/' },
    'a path with dots': { ':path': '/livez/../api/v1/secrets' },
    'a path with escaped dots': { ':path': '/api/v1/namespaces/default/%2e%2e/%2e%2e/secrets' },
    'a path with escaped slashes': { ':path': '/api/v1/namespaces/default%2f..%2f..%2fsecrets' },
    'a path with trailing dots': { ':path': '/api/v1/secrets/.' },
    'a path with two slashes': { ':path': '//api//v1//secrets' },
    'a path with a NUL': { ':path': '/api/v1/secrets/\0' },
    'an asterisk': { ':path': '*' },
  };
  for (const [name, more] of Object.entries(crooked))
    await checks.check(`attack: HTTP/2: ${name}: refused, nothing is read`, async () => {
      const { statuses } = await connect(
        server,
        (socket) => socket.write(request(1, { authorization: `Bearer ${staticToken}`, ...more })),
        2000,
      );
      for (const status of statuses)
        if (!['301', '307', '400', '401', '403', '404', '405'].includes(status)) throw new Error(status);
    });
}

function head(more: Readonly<Record<string, string>> = {}): Buffer {
  const fields = { ':method': 'GET', ':scheme': 'https', ':path': '/version', ':authority': 'x', ...more };
  return Buffer.from(headerBlock(Object.entries(fields)));
}

function frame(kind: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUIntBE(payload.length, 0, 3);
  bytes[3] = kind;
  bytes[4] = flags;
  bytes.writeUInt32BE(id, 5);
  return Buffer.concat([bytes, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Says hello, does `act`, and reads until the server closes or is silent for `silenceMs`. */
function connect(server: AuthServer, act: (socket: tls.TLSSocket) => void, silenceMs: number): Promise<End> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    let isClosed = false;
    const socket = tls.connect({
      host: '127.0.0.1',
      port: server.port,
      ca: server.pki.ca.certPem,
      ALPNProtocols: ['h2'],
    });
    let timer = setTimeout(() => socket.destroy(), 30_000);
    socket.on('error', () => (isClosed = true));
    socket.on('end', () => (isClosed = true));
    socket.once('secureConnect', () => {
      socket.write(Buffer.concat([preface, frame(frameKind.settings, 0, 0)]));
      act(socket);
    });
    socket.on('data', (piece: Buffer) => {
      received = Buffer.concat([received, piece]);
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), silenceMs);
    });
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ ...read(received), isClosed });
    });
  });
}

/** Codes of GOAWAY frames, and statuses where they stand as an entry of HPACK's static table or as a text. */
function read(bytes: Buffer): Omit<End, 'isClosed'> {
  let code: number | undefined;
  const statuses: string[] = [];
  for (let at = 0; at + 9 <= bytes.length;) {
    const length = bytes.readUIntBE(at, 3);
    const payload = bytes.subarray(at + 9, at + 9 + length);
    if (bytes[at + 3] === frameKind.goaway && payload.length >= 8) code = payload.readUInt32BE(4);
    if (bytes[at + 3] === frameKind.headers) statuses.push(statusOf(payload));
    at += 9 + length;
  }
  return { code, statuses };
}

function statusOf(block: Buffer): string {
  const indexed: Readonly<Record<number, string>> = {
    0x88: '200',
    0x89: '204',
    0x8a: '206',
    0x8b: '304',
    0x8c: '400',
    0x8d: '404',
    0x8e: '500',
  };
  const known = indexed[block[0] ?? 0];
  if (known !== undefined) return known;
  // A literal: name index, length, three digits.
  const digits = /[1-5]\d\d/.exec(block.subarray(0, 12).toString('latin1'));
  return digits?.[0] ?? `unreadable ${block.subarray(0, 12).toString('hex')}`;
}
