import { writeFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import type { CertificateAndKey } from '@pilothouse/host';

interface Review {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: {
    readonly token?: string;
    readonly audiences?: readonly string[];
    readonly user?: string;
    readonly resourceAttributes?: { readonly resource?: string; readonly namespace?: string };
  };
}

/** A webhook of authentication and authorization in one, over TLS with client certificates. */
export interface Webhooks {
  /** Kubeconfig file that leads to it. */
  readonly kubeconfig: string;
  /** What it was asked, in order. */
  readonly reviews: Review[];
  /** Answers with 500 that many times first. */
  failNext(times: number): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

export const webhookToken = 'a-token-that-only-the-webhook-knows';

/** Knows one token (user `wanda`), lets her read secrets in namespace `vault`, and forbids `wanda` all configmaps. */
export async function startWebhooks(
  directory: string,
  port: number,
  tls: CertificateAndKey,
  client: { readonly certFile: string; readonly keyFile: string },
  caFile: string,
  caPem: string,
): Promise<Webhooks> {
  const reviews: Review[] = [];
  let failures = 0;
  const kubeconfig = path.join(directory, 'webhook.yaml');
  writeFileSync(
    kubeconfig,
    `apiVersion: v1
kind: Config
clusters: [{name: hook, cluster: {server: "https://localhost:${port}/review", certificate-authority: ${caFile}}}]
users: [{name: server, user: {client-certificate: ${client.certFile}, client-key: ${client.keyFile}}}]
contexts: [{name: hook, context: {cluster: hook, user: server}}]
current-context: hook
`,
  );
  const answer = (review: Review): object => {
    const { apiVersion, kind, spec } = review;
    if (kind === 'TokenReview') {
      return {
        apiVersion,
        kind,
        status:
          spec.token === webhookToken
            ? {
                authenticated: true,
                user: { username: 'wanda', uid: 'w-1', groups: ['hooked'], extra: { from: ['hook'] } },
              }
            : { authenticated: false },
      };
    }
    const { resource, namespace } = spec.resourceAttributes ?? {};
    const allowed = spec.user === 'wanda' && resource === 'secrets' && namespace === 'vault';
    const denied = spec.user === 'wanda' && resource === 'configmaps';
    return {
      apiVersion,
      kind,
      status: { allowed, denied, reason: denied ? 'the webhook says no' : 'asked the webhook' },
    };
  };
  let server: https.Server | undefined;
  const start = async (): Promise<void> => {
    server = https.createServer(
      { cert: tls.certPem, key: tls.keyPem, ca: caPem, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        let text = '';
        request.on('data', (piece: Buffer) => (text += piece.toString()));
        request.on('end', () => {
          const review = JSON.parse(text) as Review;
          reviews.push(review);
          response.statusCode = failures-- > 0 ? 500 : 200;
          response.setHeader('content-type', 'application/json');
          response.end(JSON.stringify(answer(review)));
        });
      },
    );
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
  };
  await start();
  return {
    kubeconfig,
    reviews,
    failNext: (times) => (failures = times),
    start,
    stop: () =>
      new Promise((resolve) => {
        server?.closeAllConnections();
        server?.close(() => resolve());
      }),
  };
}
