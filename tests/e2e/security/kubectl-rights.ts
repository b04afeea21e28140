import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createSigningRequest, renderKubeconfig } from '@pilothouse/host';
import type { Checks, CommandResult } from '../checks.ts';
import { run } from '../checks.ts';
import { Cluster, findEtcd } from '../etcd/cluster.ts';
import { hasStockServer } from '../stock/programs.ts';
import type { ApiServerProcess } from './servers.ts';
import { startServer } from './servers.ts';

const aliceToken = 'token-of-alice';

interface Line {
  /** Words after `kubectl`; `@NAME` stands for a file. */
  readonly run: string;
  readonly asAlice?: boolean;
  /** The output is a token: what it says is compared. */
  readonly isToken?: boolean;
}

const as = (line: string): Line => ({ run: line, asAlice: true });
const token = (line: string): Line => ({ run: line, isToken: true });

/** What administrators ask about rights, tokens and certificates, in the order they are asked. */
const lines: readonly (Line | string)[] = [
  'auth whoami',
  'auth whoami -o json',
  as('auth whoami'),
  as('auth can-i --list'),
  as('auth can-i list pods'),
  as('auth can-i list pods --all-namespaces'),
  'auth can-i --list',
  'auth can-i --list -n kube-system --as=system:serviceaccount:kube-system:default',
  'auth can-i --list --as=system:node:n1 --as-group=system:nodes',
  'auth can-i get /readyz',
  'auth can-i get bogus',
  'auth can-i * *',
  'auth can-i get pods --subresource=log -q',
  'auth reconcile -f @rights --dry-run=client',
  'auth reconcile -f @rights',
  'auth reconcile -f @rights',
  'auth reconcile -f @fewer',
  'auth reconcile -f @fewer --remove-extra-permissions --remove-extra-subjects',
  as('auth reconcile -f @rights'),
  as('auth can-i --list'),
  as('auth can-i list pods'),
  as('auth can-i delete pods'),
  as('auth can-i get configmap/settings'),
  as('auth can-i get configmap/other'),
  'get pods --as=somebody',
  'get pods --as=somebody --as-group=readers',
  'get pods --as-group=readers',
  'auth whoami --as=somebody --as-uid=u-7 --as-group=a --as-group=b',
  'auth whoami --as=somebody --as-uid=u-7 --as-user-extra=scopes=a --as-user-extra=scopes=b -o yaml',
  'auth whoami --as=system:serviceaccount:default:robot',
  'auth whoami --as=system:anonymous',
  as('get pods --as=admin'),
  as('get pods --as=admin --as-group=system:masters'),
  as('get pods --as=alice --as-uid=x'),
  as('auth whoami --as=system:serviceaccount:default:robot'),
  'create serviceaccount robot',
  token('create token robot'),
  token('create token robot --duration=10m'),
  token('create token robot --duration=48h'),
  token('create token robot --audience=a --audience=b'),
  'create secret generic held --from-literal=a=b',
  token('create token robot --bound-object-kind=Secret --bound-object-name=held'),
  'create -f @pod',
  token('create token robot --bound-object-kind=Pod --bound-object-name=bound --duration=20m'),
  'create token robot --bound-object-kind=Pod --bound-object-name=bound --bound-object-uid=wrong',
  'create token robot --bound-object-kind=Pod --bound-object-name=none',
  'create token robot --bound-object-kind=Service --bound-object-name=none',
  'create token robot --bound-object-kind=Node --bound-object-name=none',
  'create token robot --duration=1m',
  'create token robot --duration=-1m',
  'create token robot --duration=9999999999h',
  'create token nobody',
  as('create token robot'),
  'create -f @csr',
  'get csr',
  'describe csr dave',
  as('certificate approve dave'),
  'certificate approve dave',
  'certificate approve dave',
  'get csr dave',
  'certificate deny dave',
  'certificate approve nothing',
  'create -f @csr2',
  'certificate deny erin',
  'certificate approve erin',
  'get csr',
  'create -f @csr3',
  as('create -f @csr4'),
  as('create clusterrole all --verb=* --resource=*.*'),
  'create clusterrole granter --verb=create,get --resource=clusterroles.rbac.authorization.k8s.io,clusterrolebindings.rbac.authorization.k8s.io',
  'create clusterrolebinding granter --clusterrole=granter --user=alice',
  as('create clusterrole all --verb=* --resource=*.*'),
  as('create clusterrole mine --verb=get --resource=pods'),
  as('create clusterrolebinding mine --clusterrole=cluster-admin --user=alice'),
  'describe clusterrole view',
  'describe clusterrolebinding system:basic-user',
  'get clusterroles',
  'get clusterrolebindings -o wide',
];

/** The same commands of a stock kubectl to a stock API server and to ours: exit status and every byte of the output are compared. */
export async function kubectlRights(checks: Checks, port: number, kubectl: string): Promise<void> {
  if (!hasStockServer('kubectl-rights')) return;
  const cluster = await new Cluster({ side: 'etcd', programs: await findEtcd(), port, size: 1 }).start();
  const directory = path.join(cluster.directory, 'rights');
  mkdirSync(directory, { recursive: true });
  const tokenFile = path.join(directory, 'tokens.csv');
  writeFileSync(tokenFile, `${aliceToken},alice,alice-uid,"readers"\n`);
  const files = await manifests(directory);
  const servers: ApiServerProcess[] = [];
  try {
    for (const [index, kind] of (['stock', 'ours'] as const).entries())
      servers.push(
        await startServer(kind, {
          directory,
          etcd: cluster.endpoints,
          port: port + 40 + index,
          args: [
            `--etcd-prefix=/${kind}`,
            `--token-auth-file=${tokenFile}`,
            '--disable-admission-plugins=ServiceAccount',
          ],
        }),
      );
    const ready = await checks.check(
      'kubectl-rights: both servers are ready',
      async () => {
        for (const server of servers)
          if ((await server.ask('/readyz')).status !== 200) throw new Error(server.kind);
      },
      90_000,
    );
    if (!ready) return;
    const homes = servers.map((server) => home(directory, server));
    for (const each of lines) {
      const line = typeof each === 'string' ? { run: each } : each;
      await checks.check(
        `kubectl-rights: kubectl ${line.run}${line.asAlice === true ? '   (as alice)' : ''}`,
        () => compare(kubectl, line, files, homes),
      );
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
    await cluster.stop();
  }
}

interface Home {
  readonly server: ApiServerProcess;
  readonly admin: string;
  readonly alice: string;
}

function home(directory: string, server: ApiServerProcess): Home {
  const alice = path.join(directory, `alice-${server.kind}.yaml`);
  writeFileSync(
    alice,
    renderKubeconfig({ server: server.url, ca: server.ca, user: 'alice', token: aliceToken }),
  );
  return { server, admin: server.kubeconfig, alice };
}

async function compare(
  kubectl: string,
  line: Line,
  files: Readonly<Record<string, string>>,
  homes: readonly Home[],
): Promise<void> {
  const words = line.run
    .split(' ')
    .map((word) => (word.startsWith('@') ? (files[word.slice(1)] as string) : word));
  const shown: string[] = [];
  for (const { server, admin, alice } of homes) {
    const result = await run(kubectl, words, {
      env: { KUBECONFIG: line.asAlice === true ? alice : admin },
      timeoutMs: 30_000,
    });
    shown.push(comparable(result, server.port, line.isToken === true));
  }
  if (shown[0] !== shown[1]) throw new Error(`\nstock\n${shown[0]}\nours\n${shown[1]}`);
}

function comparable({ code, stdout, stderr }: CommandResult, port: number, isToken: boolean): string {
  const text = isToken && code === 0 ? tokenText(stdout) : stdout;
  return (
    `exit ${code}\n${text}${stderr}`
      .replaceAll(new RegExp(`\\b((stock|ours)-)?${port}\\b`, 'g'), 'SERVER')
      // A kubectl that panics has said what it got.
      .replace(/\ngoroutine [^]*$/, '')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME')
      .replaceAll(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+\d{4}/g, 'TIME')
      .replaceAll(/X509SHA256=[0-9a-f]+/g, 'X509SHA256=HASH')
      .replaceAll(/\b(\d+m)?\d+s\b/g, 'AGE')
      .replaceAll(/ +/g, ' ')
  );
}

/** Claims and header without what differs from run to run; times as their distance from the beginning. */
function tokenText(jwt: string): string {
  const [header = '', payload = ''] = jwt.trim().split('.');
  const parse = (part: string): Record<string, unknown> =>
    JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;
  const claims = parse(payload);
  const begin = Number(claims['iat']);
  const bound = claims['kubernetes.io'] as { warnafter?: number };
  const shown = {
    ...claims,
    jti: 'JTI',
    iat: 0,
    nbf: Number(claims['nbf']) - begin,
    exp: Number(claims['exp']) - begin,
    'kubernetes.io': {
      ...bound,
      ...(bound.warnafter === undefined ? {} : { warnafter: bound.warnafter - begin }),
    },
  };
  return `${JSON.stringify(parse(header))}\n${JSON.stringify(shown)}\n`;
}

async function manifests(directory: string): Promise<Record<string, string>> {
  const request = async (name: string, signer: string, user = name, groups = ['team']): Promise<string> => {
    const { requestPem } = await createSigningRequest(user, groups);
    return `apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: ${name}}
spec: {request: ${Buffer.from(requestPem).toString('base64')}, signerName: ${signer}, usages: [client auth]}
`;
  };
  const client = 'kubernetes.io/kube-apiserver-client';
  const rights = (verbs: string, subjects: string): string => `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [${verbs}]}
  - {apiGroups: [""], resources: [configmaps], resourceNames: [settings], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [${subjects}]
`;
  const subject = (name: string): string =>
    `{kind: Group, apiGroup: rbac.authorization.k8s.io, name: ${name}}`;
  const texts: Readonly<Record<string, string>> = {
    rights: rights('get, list, watch', `${subject('readers')}, ${subject('others')}`),
    fewer: rights('get, list', subject('readers')),
    pod: 'apiVersion: v1\nkind: Pod\nmetadata: {name: bound}\nspec: {serviceAccountName: robot, containers: [{name: c, image: i}]}\n',
    csr: await request('dave', client),
    csr2: await request('erin', client),
    csr3: await request('root', client, 'root', ['system:masters']),
    csr4: await request('alice', 'example.com/mine'),
  };
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => {
      const file = path.join(directory, `${name}.yaml`);
      writeFileSync(file, text);
      return [name, file];
    }),
  );
}
