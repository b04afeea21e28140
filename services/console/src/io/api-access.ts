import { errorMessage } from '@pilothouse/base';
import type { Clock } from '@pilothouse/base';
import type { ClusterAccess, RenewableTransport, TransportRequest } from '@pilothouse/client';
import { createHttp2Transport } from '@pilothouse/client';
import type { Credentials } from '../core/credentials.ts';
import type { ObjectName } from '../core/object-key.ts';
import { ConsoleError } from '../errors.ts';
import { limits } from '../limits.ts';

/** A question about what the user may do, of SelfSubjectAccessReview. */
export type Right =
  | { readonly kind: 'object'; readonly verb: 'get'; readonly object: ObjectName }
  | { readonly kind: 'path'; readonly verb: 'get'; readonly path: string };

/** A cluster's own part, whose credentials do not count, with those of a user. */
function accessFor(cluster: ClusterAccess, credentials: Credentials): ClusterAccess {
  const { server, ca, insecureSkipTlsVerify, serverName } = cluster;
  return {
    server,
    ...(ca === undefined ? {} : { ca }),
    ...(insecureSkipTlsVerify === undefined ? {} : { insecureSkipTlsVerify }),
    ...(serverName === undefined ? {} : { serverName }),
    ...credentials,
  };
}

/** The API server as one user sees it. Everything the console shows comes through here or was allowed here. */
export class ApiAccess {
  readonly transport: RenewableTransport;
  readonly #credentials: Credentials;

  constructor(cluster: ClusterAccess, credentials: Credentials, clock: Clock) {
    this.#credentials = credentials;
    this.transport = createHttp2Transport(accessFor(cluster, credentials), clock);
  }

  /** The API server is known by another authority from now on: new requests go over new connections. */
  follow(cluster: ClusterAccess): void {
    this.transport.use(accessFor(cluster, this.#credentials));
  }

  /** The user's name as the API server knows it. Throws ConsoleError 401 when it does not accept the credentials. */
  async whoAmI(): Promise<string> {
    const review = await this.#ask('/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'SelfSubjectReview',
    });
    const user = (review['status'] as { userInfo?: { username?: string } } | undefined)?.userInfo?.username;
    // Credentials that count for nothing make a request anonymous where that is allowed.
    if (user === undefined || user === '' || user === 'system:anonymous')
      throw new ConsoleError(401, 'The API server does not accept these credentials');
    return user;
  }

  /** Throws ConsoleError 403 unless the user may do it. */
  async require(right: Right): Promise<void> {
    const review = await this.#ask('/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec:
        right.kind === 'path'
          ? { nonResourceAttributes: { path: right.path, verb: right.verb } }
          : {
              resourceAttributes: {
                verb: right.verb,
                group: right.object.group,
                resource: right.object.resource,
                name: right.object.name,
                ...(right.object.namespace === '' ? {} : { namespace: right.object.namespace }),
              },
            },
    });
    if ((review['status'] as { allowed?: boolean } | undefined)?.allowed !== true)
      throw new ConsoleError(
        403,
        right.kind === 'path'
          ? `This needs the right to ${right.verb} ${right.path} of the API server`
          : `You may not ${right.verb} ${right.object.resource} ${JSON.stringify(right.object.name)}`,
      );
  }

  close(): void {
    this.transport.close();
  }

  async #ask(path: string, body: unknown): Promise<Record<string, unknown>> {
    const { status, text } = await this.#exchange({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      timeoutMs: limits.questionTimeoutMs,
    });
    if (status === 401) throw new ConsoleError(401, 'The API server does not accept these credentials');
    let answer: Record<string, unknown> = {};
    try {
      answer = JSON.parse(text) as Record<string, unknown>;
    } catch {
      // Told by its status below.
    }
    if (status !== 201 && status !== 200)
      throw new ConsoleError(
        status === 403 ? 403 : 502,
        `The API server answers ${status}: ${typeof answer['message'] === 'string' ? answer['message'] : 'no reason given'}`,
      );
    return answer;
  }

  async #exchange(request: TransportRequest): Promise<{ status: number; text: string }> {
    try {
      const response = await this.transport.request(request);
      const pieces: Uint8Array[] = [];
      let size = 0;
      for await (const piece of response.body) {
        size += piece.length;
        if (size > limits.answerBytesMax) throw new Error('the answer is too long');
        pieces.push(piece);
      }
      return { status: response.status, text: Buffer.concat(pieces).toString('utf8') };
    } catch (error) {
      throw new ConsoleError(502, `The API server cannot be reached: ${errorMessage(error)}`);
    }
  }
}
