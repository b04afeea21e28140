import { readFileSync } from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { WebSocket } from 'ws';
import type { Checks } from '../checks.ts';
import { expectResult } from '../checks.ts';
import type { Plane } from '../plane.ts';
import type { Session } from './kubectl.ts';
import { kubectlOf } from './kubectl.ts';

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(url: string, options: https.RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = https.get(url, { ...options, agent: false }, (response) => {
      let text = '';
      response.on('data', (piece: Buffer) => (text += piece.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', reject);
  });
}

const want = (answer: Answer, status: number, pattern: RegExp): void => {
  if (answer.status !== status || !pattern.test(answer.text))
    throw new Error(`wanted ${status} ${String(pattern)}, got ${answer.status} ${answer.text}`);
};

/** Who may not: the node's own server without and with the wrong identity, and WebSocket exec with a role that may only read. */
export async function refusals(checks: Checks, plane: Plane, session: Session): Promise<void> {
  const kubectl = kubectlOf(session);
  const pki = (name: string): Buffer => readFileSync(path.join(plane.dataDir, 'pki', name));
  const ca = pki('ca.crt');
  const node = (await plane.status()).processes.find((each) => each.component === 'node-agent');
  const base = `https://${node?.address}`;
  const logPath = `/containerLogs/${session.namespace}/talker/main`;

  await checks.check('node server: without an identity 401', async () => {
    want(await ask(`${base}/pods`, { ca }), 401, /^Unauthorized$/);
    want(await ask(`${base}${logPath}`, { ca }), 401, /^Unauthorized$/);
    want(
      await ask(`${base}/pods`, { ca, headers: { authorization: 'Bearer nonsense' } }),
      401,
      /^Unauthorized$/,
    );
    want(await ask(`${base}/healthz`, { ca }), 200, /^ok$/);
  });
  await checks.check('node server: the wrong identity 403', async () => {
    const token = (await kubectl(['create', 'token', 'reader'])).stdout.trim();
    want(
      await ask(`${base}${logPath}`, { ca, headers: { authorization: `Bearer ${token}` } }),
      403,
      /^Forbidden \(user=system:serviceaccount:[^:]+:reader, verb=get, resource=nodes, subresource\(s\)=\[proxy\]\)/,
    );
    want(
      await ask(`${base}/pods`, { ca, headers: { authorization: `Bearer ${token}` } }),
      403,
      /subresource\(s\)=\[pods proxy\]/,
    );
  });
  await checks.check('node server: the right identity sees pods, figures and configuration', async () => {
    const identity = {
      ca,
      cert: pki('apiserver-kubelet-client.crt'),
      key: pki('apiserver-kubelet-client.key'),
    };
    want(await ask(`${base}/pods`, identity), 200, /"kind":"PodList"/);
    want(await ask(`${base}/stats/summary`, identity), 200, /usageCoreNanoSeconds/);
    want(await ask(`${base}/metrics/resource`, identity), 200, /container_memory_working_set_bytes\{/);
    want(await ask(`${base}/metrics`, identity), 200, /kubelet_running_pods \d/);
    want(await ask(`${base}/configz`, identity), 200, /"containerRuntime":"process"/);
    want(await ask(`${base}/logs/`, identity), 405, /logs endpoint is disabled/);
  });
  await checks.check('exec by WebSocket with a role that may only get: 403', async () => {
    const token = (await kubectl(['create', 'token', 'reader'])).stdout.trim();
    const url = `${plane.server.replace('https', 'wss')}/api/v1/namespaces/${session.namespace}/pods/talker/exec?command=id&stdout=true&container=main`;
    const answer = await new Promise<Answer>((resolve, reject) => {
      const socket = new WebSocket(url, ['v5.channel.k8s.io'], {
        ca,
        headers: { authorization: `Bearer ${token}` },
      });
      socket.on('error', () => undefined);
      socket.once('open', () => reject(new Error('it was let in')));
      socket.once('unexpected-response', (_request, response) => {
        let text = '';
        response.on('data', (piece: Buffer) => (text += piece.toString()));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
    });
    want(answer, 403, /pods \\"talker\\" is forbidden/);
  });
  await checks.check('what is not there is named', async () => {
    expectResult('pod', await kubectl(['exec', 'nobody', '--', 'id']), {
      code: 1,
      matches: [/pods "nobody" not found/],
    });
    expectResult('container', await kubectl(['exec', 'talker', '-c', 'nobody', '--', 'id']), {
      code: 1,
      matches: [/container nobody is not valid for pod talker|container nobody not found in pod talker/],
    });
    expectResult(
      'port',
      await kubectl(['get', '--raw', `/api/v1/namespaces/${session.namespace}/services/web:81/proxy/`]),
      {
        code: 1,
        matches: [/no service port 81 found for service "web"/],
      },
    );
    expectResult(
      'upgrade',
      await kubectl([
        'get',
        '--raw',
        `/api/v1/namespaces/${session.namespace}/pods/talker/exec?container=main&stdout=1&command=id`,
      ]),
      {
        code: 1,
        matches: [/Upgrade request required/],
      },
    );
  });
}
