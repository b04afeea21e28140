/** Numbers of RFC 9113. */
export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const frameFlag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const settingId = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Why a stream was reset or a connection ended. */
export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const;

export type ErrorCode = (typeof errorCode)[keyof typeof errorCode];

/** What a client sends first. */
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
export const frameHeaderBytes = 9;
/** Windows and frames before any setting. */
export const startWindow = 65_535;
export const startFrameBytes = 16_384;
export const startTableBytes = 4096;
export const frameBytesMax = 2 ** 24 - 1;
export const windowMax = 2 ** 31 - 1;
export const streamIdMax = 2 ** 31 - 1;

/** A broken rule that ends the whole connection. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The payload of a SETTINGS frame. */
export function settingsPayload(entries: readonly (readonly [id: number, value: number])[]): Buffer {
  const bytes = Buffer.alloc(entries.length * 6);
  entries.forEach(([id, value], index) => {
    bytes.writeUInt16BE(id, index * 6);
    bytes.writeUInt32BE(value, index * 6 + 2);
  });
  return bytes;
}
