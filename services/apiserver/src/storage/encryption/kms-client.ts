import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import { Writer } from '@pilothouse/proto';
import { UnixGrpcClient } from '../../security/unix-grpc.ts';
import { readAnnotation, readFields, writeAnnotations } from './encrypted-object.ts';
import { EncryptionError } from './transformer.ts';

const service = '/v2.KeyManagementService';

export interface KmsStatus {
  readonly version: string;
  readonly healthz: string;
  readonly keyId: string;
}

export interface KmsEncrypted {
  readonly ciphertext: Uint8Array;
  readonly keyId: string;
  readonly annotations: ReadonlyMap<string, Uint8Array>;
}

/** A KMS v2 plugin. Everything rejects with {@link EncryptionError}. */
export interface KmsService {
  status(): Promise<KmsStatus>;
  encrypt(uid: string, plaintext: Uint8Array): Promise<KmsEncrypted>;
  decrypt(uid: string, encrypted: KmsEncrypted): Promise<Uint8Array>;
  close(): void;
}

/** The socket of `unix:///run/kms.sock`; `unix:///@name` is Linux's abstract namespace. Throws EncryptionError for anything else. */
export function kmsSocketPath(endpoint: string): string {
  const match = /^unix:\/\/(\/.+)$/.exec(endpoint);
  if (!match) {
    throw new EncryptionError(`Unsupported KMS endpoint "${endpoint}": want unix:///path/of/the/plugin.sock`);
  }
  const path = match[1] as string;
  return path.startsWith('/@') ? `\0${path.slice(2)}` : path;
}

/** gRPC over a Unix socket; messages as in upstream's kms/apis/v2/api.proto. Connects when first used, and again after a loss. */
export class KmsClient implements KmsService {
  readonly #endpoint: string;
  readonly #timeoutMs: number;
  readonly #client: UnixGrpcClient;

  /** `onCall`: told of each call, its code in Go's words, and its seconds. */
  constructor(
    endpoint: string,
    timeoutMs: number,
    clock: Clock,
    onCall?: (method: string, code: string, seconds: number) => void,
  ) {
    this.#endpoint = endpoint;
    this.#timeoutMs = timeoutMs;
    this.#client = new UnixGrpcClient(endpoint, kmsSocketPath(endpoint), clock, onCall);
  }

  async status(): Promise<KmsStatus> {
    let [version, healthz, keyId] = ['', '', ''];
    readFields(await this.#call('Status', new Uint8Array(0)), (field, reader) => {
      if (field === 1) version = reader.string();
      else if (field === 2) healthz = reader.string();
      else if (field === 3) keyId = reader.string();
      else return false;
      return true;
    });
    return { version, healthz, keyId };
  }

  async encrypt(uid: string, plaintext: Uint8Array): Promise<KmsEncrypted> {
    const writer = new Writer(256);
    writer.uint32(0x0a);
    writer.bytes(plaintext);
    writer.uint32(0x12);
    writer.string(uid);
    let ciphertext: Uint8Array = new Uint8Array(0);
    let keyId = '';
    const annotations = new Map<string, Uint8Array>();
    readFields(await this.#call('Encrypt', writer.finish()), (field, reader) => {
      if (field === 1) ciphertext = reader.bytes().slice();
      else if (field === 2) keyId = reader.string();
      else if (field === 3) readAnnotation(reader.bytes(), annotations);
      else return false;
      return true;
    });
    return { ciphertext, keyId, annotations };
  }

  async decrypt(uid: string, encrypted: KmsEncrypted): Promise<Uint8Array> {
    const writer = new Writer(256);
    writer.uint32(0x0a);
    writer.bytes(encrypted.ciphertext);
    writer.uint32(0x12);
    writer.string(uid);
    writer.uint32(0x1a);
    writer.string(encrypted.keyId);
    writeAnnotations(writer, 0x22, encrypted.annotations);
    let plaintext: Uint8Array = new Uint8Array(0);
    readFields(await this.#call('Decrypt', writer.finish()), (field, reader) => {
      if (field !== 1) return false;
      plaintext = reader.bytes().slice();
      return true;
    });
    return plaintext;
  }

  close(): void {
    this.#client.close();
  }

  async #call(method: string, message: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#client.call(`${service}/${method}`, message, this.#timeoutMs);
    } catch (error) {
      throw new EncryptionError(`${method} of the KMS at ${this.#endpoint} failed: ${errorMessage(error)}`, {
        cause: error,
      });
    }
  }
}
