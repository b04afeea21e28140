import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

/** Requests of the administrator of a local plane. */
export class ApiTraffic {
  readonly #server: string;
  readonly #agent: https.Agent;

  constructor(server: string, dataDir: string) {
    const pem = (file: string): string => readFileSync(path.join(dataDir, 'pki', file), 'utf8');
    this.#server = server;
    this.#agent = new https.Agent({
      keepAlive: true,
      ca: pem('ca.crt'),
      cert: pem('admin.crt'),
      key: pem('admin.key'),
    });
  }

  request(
    method: string,
    url: string,
    body?: object,
    headers: Record<string, string> = {},
  ): Promise<ApiAnswer> {
    return new Promise((resolve, reject) => {
      const request = https.request(
        this.#server + url,
        { method, agent: this.#agent, headers: { 'content-type': 'application/json', ...headers } },
        (response) => {
          let text = '';
          response.on('data', (piece: Buffer) => (text += piece.toString()));
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
          response.on('error', reject);
        },
      );
      request.setTimeout(20_000, () => request.destroy(new Error('no answer in 20 s')));
      request.on('error', reject);
      request.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  /** A little of everything until `untilMs` of the wall clock: objects come, change and go, pods are placed, some requests are refused. */
  async run(untilMs: number): Promise<number> {
    let requests = 0;
    const ask = async (...parameters: Parameters<ApiTraffic['request']>): Promise<ApiAnswer> => {
      requests++;
      return this.request(...parameters);
    };
    await ask('POST', '/api/v1/namespaces', { metadata: { name: 'monitoring' } });
    const maps = '/api/v1/namespaces/monitoring/configmaps';
    const deployments = '/apis/apps/v1/namespaces/monitoring/deployments';
    for (let round = 0; Date.now() < untilMs; round++) {
      const name = `c${round}`;
      await ask('POST', maps, { metadata: { name }, data: { round: String(round) } });
      await ask('GET', `${maps}/${name}`);
      await ask(
        'PATCH',
        `${maps}/${name}`,
        { data: { more: 'yes' } },
        { 'content-type': 'application/merge-patch+json' },
      );
      await ask('PUT', `${maps}/${name}`, { metadata: { name }, data: {} });
      await ask('GET', maps);
      await ask('GET', '/api/v1/pods');
      await ask('GET', `${maps}/missing`);
      await ask('DELETE', `${maps}/${name}`);
      if (round % 20 === 0) {
        await ask('POST', deployments, deployment(`d${round}`));
        if (round >= 40) await ask('DELETE', `${deployments}/d${round - 40}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await ask('DELETE', '/api/v1/namespaces/monitoring');
    return requests;
  }

  close(): void {
    this.#agent.destroy();
  }
}

function deployment(name: string): object {
  const labels = { app: name };
  return {
    metadata: { name },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'web', image: 'nginx' }] },
      },
    },
  };
}
