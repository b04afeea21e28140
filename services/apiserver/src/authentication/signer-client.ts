import type { Clock } from '@pilothouse/base';
import { Writer } from '@pilothouse/proto';
import type { SecuritySeries } from '../metrics/security-series.ts';
import { UnixGrpcClient } from '../security/unix-grpc.ts';
import { readFields } from '../storage/encryption/encrypted-object.ts';
import type { SignerKey, SignerService } from './external-signer.ts';

const service = '/v1.ExternalJWTSigner';
const callTimeoutMs = 10_000;

/** gRPC over a Unix socket; messages as in upstream's externaljwt/apis/v1/api.proto. `@name` is a socket of the abstract namespace. */
export class SignerClient implements SignerService {
  readonly #client: UnixGrpcClient;

  constructor(socket: string, clock: Clock, series?: SecuritySeries['signer']) {
    this.#client = new UnixGrpcClient(
      socket,
      socket.startsWith('@') ? `\0${socket.slice(1)}` : socket,
      clock,
      (method, code, seconds) => series?.seconds.series(method, code).observe(seconds),
    );
  }

  async sign(claims: string): Promise<{ header: string; signature: string }> {
    const writer = new Writer(claims.length + 16);
    writer.uint32(0x0a);
    writer.string(claims);
    let [header, signature] = ['', ''];
    readFields(await this.#call('Sign', writer.finish()), (field, reader) => {
      if (field === 1) header = reader.string();
      else if (field === 2) signature = reader.string();
      else return false;
      return true;
    });
    return { header, signature };
  }

  async fetchKeys(timeoutMs: number): ReturnType<SignerService['fetchKeys']> {
    const keys: SignerKey[] = [];
    let dataMs = 0;
    let refreshSeconds = 0;
    readFields(await this.#call('FetchKeys', new Uint8Array(0), timeoutMs), (field, reader) => {
      if (field === 1) keys.push(readKey(reader.bytes()));
      else if (field === 2) dataMs = readTimestamp(reader.bytes());
      else if (field === 3) refreshSeconds = Number(reader.int64());
      else return false;
      return true;
    });
    return { keys, dataMs, refreshSeconds };
  }

  async metadata(): Promise<number> {
    let seconds = 0;
    readFields(await this.#call('Metadata', new Uint8Array(0)), (field, reader) => {
      if (field !== 1) return false;
      seconds = Number(reader.int64());
      return true;
    });
    return seconds;
  }

  close(): void {
    this.#client.close();
  }

  #call(method: string, message: Uint8Array, timeoutMs = callTimeoutMs): Promise<Uint8Array> {
    return this.#client.call(`${service}/${method}`, message, timeoutMs);
  }
}

function readKey(bytes: Uint8Array): SignerKey {
  let keyId = '';
  let der = new Uint8Array(0);
  let excluded = false;
  readFields(bytes, (field, reader) => {
    if (field === 1) keyId = reader.string();
    else if (field === 2) der = reader.bytes().slice();
    else if (field === 3) excluded = reader.bool();
    else return false;
    return true;
  });
  return { keyId, der, excluded };
}

/** google.protobuf.Timestamp as milliseconds since the epoch. */
function readTimestamp(bytes: Uint8Array): number {
  let ms = 0;
  readFields(bytes, (field, reader) => {
    if (field === 1) ms += Number(reader.int64()) * 1000;
    else if (field === 2) ms += reader.uint32() / 1e6;
    else return false;
    return true;
  });
  return ms;
}
