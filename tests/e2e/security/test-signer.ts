import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { rmSync } from 'node:fs';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const schema = protobuf.parse(
  `syntax = "proto3";
  package v1;
  message Timestamp { int64 seconds = 1; int32 nanos = 2; }
  message SignRequest { string claims = 1; }
  message SignResponse { string header = 1; string signature = 2; }
  message FetchKeysRequest {}
  message FetchKeysResponse { repeated Key keys = 1; Timestamp data_timestamp = 2; int64 refresh_hint_seconds = 3; }
  message Key { string key_id = 1; bytes key = 2; bool exclude_from_oidc_discovery = 3; }
  message MetadataRequest {}
  message MetadataResponse { int64 max_token_expiration_seconds = 1; }`,
  { keepCase: true },
).root;

interface Key {
  readonly id: string;
  readonly privateKey: KeyObject;
  readonly der: Buffer;
  readonly excluded: boolean;
}

/** An ExternalJWTSigner on a Unix socket, for tests. Speaks through @grpc/grpc-js; the newest key signs. */
export class TestSigner {
  readonly socket: string;
  readonly #keys: Key[] = [];
  #server: Server | undefined;
  #changes = 0;
  calls = { Sign: 0, FetchKeys: 0, Metadata: 0 };

  constructor(socket: string) {
    this.socket = socket;
    this.add('old', true);
    this.add('key-1');
  }

  add(id: string, excluded = false): void {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.#keys.push({ id, privateKey, der: publicKey.export({ type: 'spki', format: 'der' }), excluded });
    this.#changes++;
  }

  async start(): Promise<void> {
    rmSync(this.socket, { force: true });
    const server = new Server();
    const definition: Record<string, unknown> = {};
    const implementation: Record<string, unknown> = {};
    for (const [method, answer] of Object.entries({
      Sign: ({ claims }: { claims: string }) => this.#sign(claims),
      FetchKeys: () => ({
        keys: this.#keys.map(({ id, der, excluded }) => ({
          key_id: id,
          key: der,
          exclude_from_oidc_discovery: excluded,
        })),
        data_timestamp: { seconds: 1_700_000_000 + this.#changes, nanos: 0 },
        refresh_hint_seconds: 5,
      }),
      Metadata: () => ({ max_token_expiration_seconds: 7200 }),
    })) {
      const request = schema.lookupType(`v1.${method}Request`);
      const response = schema.lookupType(`v1.${method}Response`);
      definition[method] = {
        path: `/v1.ExternalJWTSigner/${method}`,
        requestStream: false,
        responseStream: false,
        requestSerialize: (value: object) => Buffer.from(request.encode(value).finish()),
        requestDeserialize: (bytes: Buffer) => request.decode(bytes),
        responseSerialize: (value: object) =>
          Buffer.from(response.encode(response.fromObject(value)).finish()),
        responseDeserialize: (bytes: Buffer) => response.decode(bytes),
      };
      implementation[method] = (
        call: { request: never },
        done: (error: Error | null, value?: object) => void,
      ): void => {
        this.calls[method as 'Sign']++;
        done(null, answer(call.request));
      };
    }
    server.addService(definition as ServiceDefinition, implementation as never);
    await new Promise<void>((resolve, reject) => {
      server.bindAsync(`unix:${this.socket}`, ServerCredentials.createInsecure(), (error) =>
        error ? reject(error) : resolve(),
      );
    });
    this.#server = server;
  }

  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
  }

  #sign(claims: string): object {
    const { id, privateKey } = this.#keys.at(-1) as Key;
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid: id, typ: 'JWT' })).toString('base64url');
    return {
      header,
      signature: sign('sha256', Buffer.from(`${header}.${claims}`), privateKey).toString('base64url'),
    };
  }
}
