import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createSigningRequest } from '@pilothouse/host';
import type { Checks } from '../checks.ts';
import { expectResult, run } from '../checks.ts';
import type { AuthServer } from './server.ts';
import { staticToken } from './server.ts';

interface Line {
  /** Words of the command; a word with spaces in an array. */
  readonly run: string | readonly string[];
  readonly as?: 'alice';
  readonly code?: number;
  readonly says?: readonly RegExp[];
  readonly lacks?: readonly RegExp[];
}

/** What an administrator does about rights, with a stock kubectl. */
export async function kubectlSessions(checks: Checks, server: AuthServer, kubectl: string): Promise<void> {
  const admin = server.kubeconfig('admin');
  const alice = server.kubeconfig('alice', staticToken);
  const file = (name: string, text: string): string => {
    const target = path.join(server.directory, name);
    writeFileSync(target, text);
    return target;
  };
  const rights = file(
    'rights.yaml',
    `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: default}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: readers, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: readers}]
`,
  );
  const { requestPem } = await createSigningRequest('dave', ['team']);
  const csr = file(
    'csr.yaml',
    `apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: dave}
spec: {request: ${Buffer.from(requestPem).toString('base64')}, signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
`,
  );
  const lines: readonly Line[] = [
    {
      run: 'auth whoami',
      as: 'alice',
      says: [/Username\s+alice/, /UID\s+alice-uid/, /Groups\s+\[readers system:authenticated\]/],
    },
    { run: 'auth can-i list pods', as: 'alice', code: 1, says: [/^no$/m] },
    {
      run: `auth reconcile -f ${rights}`,
      says: [
        /role.rbac.authorization.k8s.io\/reader reconciled/,
        /rolebinding.rbac.authorization.k8s.io\/readers reconciled/,
        /missing rules added/,
      ],
    },
    {
      run: `auth reconcile -f ${rights}`,
      says: [/reader unchanged|reader reconciled/],
      lacks: [/missing rules added/],
    },
    { run: 'auth can-i list pods', as: 'alice', says: [/^yes$/m] },
    { run: 'auth can-i delete pods', as: 'alice', code: 1, says: [/^no$/m] },
    {
      run: 'auth can-i --list',
      as: 'alice',
      says: [
        /pods\s+\[\]\s+\[\]\s+\[get list\]/,
        /selfsubjectreviews.authentication.k8s.io\s+\[\]\s+\[\]\s+\[create\]/,
        /\[\/healthz\]/,
      ],
    },
    { run: 'auth can-i get /readyz', as: 'alice', says: [/^yes$/m] },
    { run: 'auth can-i list secrets --as=alice --as-group=readers', code: 1, says: [/^no$/m] },
    {
      run: 'get pods --as=somebody',
      code: 1,
      says: [
        /Error from server \(Forbidden\): pods is forbidden: User "somebody" cannot list resource "pods" in API group "" in the namespace "default"/,
      ],
    },
    { run: 'get pods --as=somebody --as-group=readers', says: [/No resources found in default namespace/] },
    {
      run: 'auth whoami --as=somebody --as-uid=u-7 --as-group=readers --as-user-extra=scopes=a',
      says: [
        /Username\s+somebody/,
        /UID\s+u-7/,
        /Groups\s+\[readers system:authenticated\]/,
        /Extra: scopes\s+\[a\]/,
      ],
    },
    {
      run: 'get pods --as=admin',
      as: 'alice',
      code: 1,
      says: [/Error from server \(Forbidden\): .*User "alice" cannot impersonate/],
    },
    { run: 'create serviceaccount robot', says: [/serviceaccount\/robot created/] },
    { run: 'create token robot --duration=10m', says: [/^[\w-]+\.[\w-]+\.[\w-]+$/m] },
    {
      run: 'create token robot --duration=1m',
      code: 1,
      says: [/may not specify a duration less than 10 minutes/],
    },
    {
      run: 'create token robot --bound-object-kind=Pod --bound-object-name=none',
      code: 1,
      says: [/pods "none" not found/],
    },
    { run: 'create token nobody', code: 1, says: [/serviceaccounts "nobody" not found/] },
    {
      run: 'create token robot',
      as: 'alice',
      code: 1,
      says: [/User "alice" cannot create resource "serviceaccounts\/token"/],
    },
    { run: `create -f ${csr}`, says: [/certificatesigningrequest.certificates.k8s.io\/dave created/] },
    { run: 'get csr dave', says: [/Pending/] },
    { run: 'certificate approve dave', as: 'alice', code: 1, says: [/forbidden/] },
    { run: 'certificate approve dave', says: [/dave approved/] },
    { run: 'get csr dave', says: [/Approved/] },
    { run: 'certificate deny dave', code: 1, says: [/Approved|denied|invalid/i] },
    {
      run: 'create clusterrole all --verb=* --resource=*.*',
      as: 'alice',
      code: 1,
      says: [/User "alice" cannot create resource "clusterroles"/],
    },
  ];
  for (const line of lines) {
    const words = typeof line.run === 'string' ? line.run.split(' ') : line.run;
    const config = line.as === 'alice' ? alice : admin;
    await checks.check(
      `kubectl ${words.join(' ').replaceAll(server.directory, '')}${line.as === undefined ? '' : '   (as alice)'}`,
      async () => {
        const result = await run(kubectl, words, { env: { KUBECONFIG: config }, timeoutMs: 30_000 });
        expectResult(words.join(' '), result, {
          code: line.code ?? 0,
          matches: line.says ?? [],
          lacks: line.lacks ?? [],
        });
      },
      2000,
    );
  }
}
