import { createHash, createHmac, X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import path from 'node:path';
import { expectResult, run, type Checks } from '../checks.ts';
import type { Plane } from '../plane.ts';
import { startAuditedPlane } from './audited-plane.ts';
import { repository } from '../tools.ts';
import { expectStatus, type Answer } from './servers.ts';

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:apiserver"]}
- {level: Metadata, resources: [{group: "", resources: [secrets, serviceaccounts/token]}]}
- {level: RequestResponse, resources: [{group: "", resources: [configmaps]}], omitManagedFields: true}
- {level: Metadata}
`;

interface Credentials {
  readonly token?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** A plane that a kubelet joins by TLS bootstrap, driven request by request; what its audit log and its other logs tell. */
export async function bootstrapAndAudit(checks: Checks, port: number, kubectl: string): Promise<void> {
  const { plane, folder, auditLog, remove } = await startAuditedPlane({
    port,
    policy: auditPolicy,
    nodes: 1,
  });
  try {
    await tlsBootstrap(checks, plane, kubectl, folder);
    await auditTold(checks, plane, kubectl, auditLog);
    await logsAreSilent(checks, plane);
  } finally {
    await plane.stop();
    remove();
  }
}

async function tlsBootstrap(checks: Checks, plane: Plane, kubectl: string, folder: string): Promise<void> {
  const port = Number(new URL(plane.server).port);
  const ca = readFileSync(path.join(plane.dataDir, 'pki', 'ca.crt'), 'utf8');
  const ask = (
    target: string,
    who: Credentials,
    body?: object,
    options: { method?: string; verify?: boolean } = {},
  ): Promise<Answer> =>
    askAs(port, options.verify === false ? undefined : ca, target, who, body, options.method);
  const csrPath = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  let token = '';
  let caHash = '';
  let node: Credentials = {};
  const made = async (subject: string, san?: string): Promise<{ key: string; csr: string }> => {
    const name = path.join(folder, `k${Math.random().toString(36).slice(2)}`);
    const args = [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      subject,
    ];
    expectResult(
      'openssl req',
      await run('openssl', [...args, ...(san === undefined ? [] : ['-addext', `subjectAltName=${san}`])]),
      {},
    );
    return { key: readFileSync(`${name}.key`, 'utf8'), csr: readFileSync(`${name}.csr`, 'utf8') };
  };
  const csrObject = (name: string, csr: string, signerName: string, usages: readonly string[]): object => ({
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name },
    spec: {
      request: Buffer.from(csr).toString('base64'),
      signerName,
      usages: ['digital signature', ...usages],
    },
  });
  const signed = async (name: string, who: Credentials): Promise<string> => {
    const { body } = expectStatus(await ask(`${csrPath}/${name}`, who), 200);
    const text = (JSON.parse(body) as { status?: { certificate?: string } }).status?.certificate;
    if (text === undefined) throw new Error(`no certificate yet: ${body}`);
    return Buffer.from(text, 'base64').toString();
  };
  const check = (name: string, body: () => Promise<void>, seconds = 0): Promise<boolean> =>
    checks.check(`bootstrap: ${name}`, body, seconds * 1000);
  const clientSigner = 'kubernetes.io/kube-apiserver-client-kubelet';

  await check(
    'pilothouse join prints a token, a kubeconfig and the hash of the CA',
    async () => {
      const program = path.join(repository, 'services', 'cli', 'bin', 'pilothouse');
      const result = await run(process.execPath, [program, 'join', '--data-dir', plane.dataDir]);
      expectResult('pilothouse join', result, { matches: [/certificate-authority-data/] });
      token = /# token\s+(\S+)/.exec(result.stdout)?.[1] ?? '';
      caHash = /cert-hash (\S+)/.exec(result.stdout)?.[1] ?? '';
      if (!/^[a-z0-9]{6}\.[a-z0-9]{16}$/.test(token)) throw new Error(`token ${token}`);
    },
    20,
  );
  await check(
    'discovery: cluster-info without credentials, its signature by the token, its CA by the hash',
    async () => {
      const { body } = expectStatus(
        await ask('/api/v1/namespaces/kube-public/configmaps/cluster-info', {}, undefined, { verify: false }),
        200,
      );
      const { data } = JSON.parse(body) as { data: Record<string, string> };
      const [id, secret] = token.split('.') as [string, string];
      const [header, , signature] = (data[`jws-kubeconfig-${id}`] ?? '').split('.');
      const content = Buffer.from(data['kubeconfig'] ?? '').toString('base64url');
      const wanted = createHmac('sha256', secret).update(`${header}.${content}`).digest('base64url');
      if (signature !== wanted) throw new Error('wrong signature');
      const found = Buffer.from(
        /certificate-authority-data: (\S+)/.exec(data['kubeconfig'] ?? '')?.[1] ?? '',
        'base64',
      ).toString();
      const key = new X509Certificate(found).publicKey.export({ type: 'spki', format: 'der' });
      if (`sha256:${createHash('sha256').update(key).digest('hex')}` !== caHash) throw new Error('wrong CA');
    },
  );
  await check('the token may ask for a certificate and nothing else', async () => {
    expectStatus(await ask('/api/v1/namespaces/kube-system/secrets', { token }), 403);
    expectStatus(await ask('/api/v1/nodes', { token }), 403);
    const { csr } = await made('/O=system:masters/CN=evil');
    const signer = 'kubernetes.io/kube-apiserver-client';
    expectStatus(await ask(csrPath, { token }, csrObject('evil', csr, signer, ['client auth'])), 403);
  });
  await check('the client certificate of a new node is approved and signed by itself', async () => {
    const { key, csr } = await made('/O=system:nodes/CN=system:node:joined');
    expectStatus(
      await ask(csrPath, { token }, csrObject('joined-client', csr, clientSigner, ['client auth'])),
      201,
    );
    await checks.check(
      'bootstrap: signed',
      async () => {
        node = { key, cert: await signed('joined-client', { token }) };
      },
      15_000,
    );
  });
  await check('with it, the node registers itself, and only itself', async () => {
    const object = (name: string): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name } });
    expectStatus(await ask('/api/v1/nodes', node, object('joined')), 201);
    expectStatus(await ask('/api/v1/nodes', node, object('other')), 403);
    expectStatus(await ask('/api/v1/namespaces/kube-system/secrets', node), 403);
  });
  await check('it renews the certificate with the old one', async () => {
    const { key, csr } = await made('/O=system:nodes/CN=system:node:joined');
    expectStatus(
      await ask(csrPath, node, csrObject('joined-again', csr, clientSigner, ['client auth'])),
      201,
    );
    await checks.check(
      'bootstrap: renewed',
      async () => {
        const cert = await signed('joined-again', node);
        expectStatus(await ask('/api/v1/nodes/joined', { key, cert }), 200);
      },
      15_000,
    );
  });
  await check('the serving certificate waits for kubectl certificate approve', async () => {
    const { csr } = await made('/O=system:nodes/CN=system:node:joined', 'DNS:joined,IP:192.0.2.9');
    const signer = 'kubernetes.io/kubelet-serving';
    expectStatus(await ask(csrPath, node, csrObject('joined-serving', csr, signer, ['server auth'])), 201);
    const args = ['--kubeconfig', plane.kubeconfig, 'certificate', 'approve', 'joined-serving'];
    expectResult('kubectl certificate approve', await run(kubectl, args), {});
    await checks.check(
      'bootstrap: serving certificate',
      async () => {
        const certificate = new X509Certificate(await signed('joined-serving', node));
        if (!/DNS:joined/.test(certificate.subjectAltName ?? '')) throw new Error(certificate.subjectAltName);
      },
      15_000,
    );
  });
}

async function auditTold(checks: Checks, plane: Plane, kubectl: string, auditLog: string): Promise<void> {
  const canary = 'audit-canary-value';
  const kube = async (...args: string[]): Promise<void> =>
    expectResult(
      `kubectl ${args.join(' ')}`,
      await run(kubectl, ['--kubeconfig', plane.kubeconfig, ...args]),
      {},
    );
  const events = (): Record<string, never>[] =>
    readFileSync(auditLog, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, never>);
  await kube('create', 'secret', 'generic', 'audited', `--from-literal=password=${canary}`);
  await kube('create', 'configmap', 'audited', '--from-literal=a=b');
  await checks.check(
    'audit: a secret leaves who, what and the answer, not its data',
    async () => {
      const text = readFileSync(auditLog, 'utf8');
      if (text.includes(canary) || text.includes(Buffer.from(canary).toString('base64')))
        throw new Error('the secret is in the log');
      const event = events().find(
        ({ verb, objectRef }) =>
          verb === 'create' && objectRef?.['name'] === 'audited' && objectRef['resource'] === 'secrets',
      ) as Record<string, unknown> | undefined;
      if (event === undefined) throw new Error('no event');
      const { level, stage, responseStatus, requestObject } = event as {
        level: string;
        stage: string;
        responseStatus: { code: number };
        requestObject?: unknown;
      };
      if (
        level !== 'Metadata' ||
        stage !== 'ResponseComplete' ||
        responseStatus.code !== 201 ||
        requestObject !== undefined
      )
        throw new Error(JSON.stringify(event));
      return Promise.resolve();
    },
    5000,
  );
  await checks.check(
    'audit: at RequestResponse both bodies, without managed fields',
    async () => {
      const event = events().find(
        ({ verb, objectRef }) =>
          verb === 'create' && objectRef?.['name'] === 'audited' && objectRef['resource'] === 'configmaps',
      ) as
        | {
            requestObject?: { data?: object };
            responseObject?: { metadata?: { uid?: string; managedFields?: unknown } };
          }
        | undefined;
      if (JSON.stringify(event?.requestObject?.data) !== '{"a":"b"}') throw new Error(JSON.stringify(event));
      if (
        event?.responseObject?.metadata?.uid === undefined ||
        event.responseObject.metadata.managedFields !== undefined
      )
        throw new Error(JSON.stringify(event));
      return Promise.resolve();
    },
    5000,
  );
  await checks.check(
    'audit: a refused token is told',
    async () => {
      const ca = readFileSync(path.join(plane.dataDir, 'pki', 'ca.crt'), 'utf8');
      const port = Number(new URL(plane.server).port);
      expectStatus(await askAs(port, ca, '/api/v1/pods', { token: 'not-a-token' }), 401);
      const text = readFileSync(auditLog, 'utf8');
      if (!/Authentication failed, attempted: bearer/.test(text)) throw new Error('no event');
      if (text.includes('not-a-token')) throw new Error('the token is in the log');
    },
    5000,
  );
}

/** No private key, token or secret of the plane may be in what its processes wrote. */
async function logsAreSilent(checks: Checks, plane: Plane): Promise<void> {
  await checks.check('no log of the plane holds a token, a key or a secret', async () => {
    const keys = (readdirSync(path.join(plane.dataDir, 'pki'), { recursive: true }) as string[])
      .filter((name) => name.endsWith('.key'))
      .map((name) => readFileSync(path.join(plane.dataDir, 'pki', name), 'utf8').split('\n')[2] ?? '');
    const logs = path.join(plane.dataDir, 'logs');
    let bytes = 0;
    for (const name of readdirSync(logs)) {
      const text = readFileSync(path.join(logs, name), 'utf8');
      bytes += text.length;
      for (const key of keys)
        if (key.length > 20 && text.includes(key)) throw new Error(`a private key is in ${name}`);
      const found =
        /eyJhbGciOi[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}|BEGIN [A-Z ]*PRIVATE KEY|audit-canary-value|Bearer [\w.-]{10,}/.exec(
          text,
        );
      if (found) throw new Error(`${name}: ${found[0].slice(0, 20)}…`);
    }
    if (bytes === 0) throw new Error('the logs are empty');
    return Promise.resolve();
  });
}

function askAs(
  port: number,
  ca: string | undefined,
  target: string,
  who: Credentials,
  body?: object,
  method?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: '127.0.0.1',
        port,
        path: target,
        method: method ?? (body === undefined ? 'GET' : 'POST'),
        agent: false,
        timeout: 20_000,
        ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
        ...(who.cert === undefined ? {} : { cert: who.cert, key: who.key }),
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(who.token === undefined ? {} : { authorization: `Bearer ${who.token}` }),
        },
      },
      (incoming) => {
        let text = '';
        incoming.on('data', (piece: Buffer) => (text += piece.toString()));
        incoming.on('end', () =>
          resolve({ status: incoming.statusCode ?? 0, body: text, headers: incoming.headers }),
        );
      },
    );
    outgoing.on('error', reject);
    outgoing.on('timeout', () => outgoing.destroy(new Error(`No answer from ${target}`)));
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
