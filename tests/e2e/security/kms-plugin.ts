import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const schema = protobuf.parse(
  `syntax = "proto3";
  package v2;
  message StatusRequest {}
  message StatusResponse { string version = 1; string healthz = 2; string key_id = 3; }
  message DecryptRequest { bytes ciphertext = 1; string uid = 2; string key_id = 3; map<string, bytes> annotations = 4; }
  message DecryptResponse { bytes plaintext = 1; }
  message EncryptRequest { bytes plaintext = 1; string uid = 2; }
  message EncryptResponse { bytes ciphertext = 1; string key_id = 2; map<string, bytes> annotations = 3; }`,
  { keepCase: true },
).root;

/** A KMS v2 plugin on a Unix socket, for tests: AES-256-GCM under keys that live as long as it does. Speaks through @grpc/grpc-js. */
export class KmsPlugin {
  readonly #keys = new Map<string, Buffer>();
  readonly #socket: string;
  #server: Server | undefined;
  keyId = '';
  healthz = 'ok';
  calls = { Status: 0, Encrypt: 0, Decrypt: 0 };

  constructor(socket: string) {
    this.#socket = socket;
    this.rotate('key-1');
  }

  get endpoint(): string {
    return `unix://${this.#socket}`;
  }

  /** New data keys are encrypted under this id from now on; the old ones stay readable. */
  rotate(keyId: string): void {
    this.#keys.set(keyId, randomBytes(32));
    this.keyId = keyId;
  }

  async start(): Promise<void> {
    rmSync(this.#socket, { force: true });
    const server = new Server();
    const definition: Record<string, unknown> = {};
    const implementation: Record<string, unknown> = {};
    for (const [method, answer] of Object.entries({
      Status: () => ({ version: 'v2', healthz: this.healthz, key_id: this.keyId }),
      Encrypt: (request: { plaintext: Uint8Array }) => this.#encrypt(request.plaintext),
      Decrypt: (request: { ciphertext: Uint8Array; key_id: string }) => ({
        plaintext: this.#decrypt(request.ciphertext, request.key_id),
      }),
    })) {
      const request = schema.lookupType(`v2.${method}Request`);
      const response = schema.lookupType(`v2.${method}Response`);
      definition[method] = {
        path: `/v2.KeyManagementService/${method}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: object) => Buffer.from(request.encode(value).finish()),
        requestDeserialize: (bytes: Buffer) => request.decode(bytes),
        responseSerialize: (value: object) => Buffer.from(response.encode(value).finish()),
        responseDeserialize: (bytes: Buffer) => response.decode(bytes),
      };
      implementation[method] = (
        call: { request: never },
        done: (error: Error | null, value?: object) => void,
      ): void => {
        this.calls[method as 'Status']++;
        try {
          done(null, answer(call.request));
        } catch (error) {
          done(error as Error);
        }
      };
    }
    server.addService(definition as ServiceDefinition, implementation as never);
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${this.#socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    this.#server = server;
  }

  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  #encrypt(plaintext: Uint8Array): object {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#keys.get(this.keyId) as Buffer, nonce);
    const ciphertext = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    return { ciphertext, key_id: this.keyId, annotations: { 'plugin.example.com': Buffer.from('1') } };
  }

  #decrypt(ciphertext: Uint8Array, keyId: string): Buffer {
    const key = this.#keys.get(keyId);
    if (key === undefined) throw new Error(`no key ${keyId}`);
    const decipher = createDecipheriv('aes-256-gcm', key, ciphertext.subarray(0, 12));
    decipher.setAuthTag(ciphertext.subarray(-16));
    return Buffer.concat([decipher.update(ciphertext.subarray(12, -16)), decipher.final()]);
  }
}
