import { nodeClock } from '@pilothouse/host';
import { createHttp2Transport, loadKubeconfig } from '@pilothouse/client';

export interface ApiObject {
  readonly metadata: {
    readonly name: string;
    readonly resourceVersion?: string;
    readonly labels?: Record<string, string>;
  };
  readonly data?: Record<string, string>;
  readonly status?: Record<string, unknown>;
}

/** The other side of the test: another user of the same cluster. */
export class Api {
  readonly #transport;

  constructor(kubeconfig: string) {
    this.#transport = createHttp2Transport(loadKubeconfig(kubeconfig), nodeClock);
  }

  /** Throws with the server's text unless it answers 2xx. */
  async send(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<ApiObject> {
    const answer = await this.#transport.request({
      method,
      path,
      headers: { accept: 'application/json', ...(body === undefined ? {} : { 'content-type': contentType }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    let text = '';
    for await (const piece of answer.body) text += Buffer.from(piece).toString('utf8');
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return JSON.parse(text) as ApiObject;
  }

  patch(path: string, body: unknown): Promise<ApiObject> {
    return this.send('PATCH', path, body, 'application/merge-patch+json');
  }

  close(): void {
    this.#transport.close();
  }
}

export const deployment = (name: string, replicas: number): unknown => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { containers: [{ name: 'main', image: 'nginx' }] },
    },
  },
});

export const configMap = (name: string, data: Record<string, string>): unknown => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data,
});
