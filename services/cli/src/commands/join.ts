import { createHash, createHmac, randomInt, X509Certificate } from 'node:crypto';
import path from 'node:path';
import type { KubeObject } from '@pilothouse/apimachinery';
import { hasReason } from '@pilothouse/apimachinery';
import type { ResourceRef } from '@pilothouse/client';
import { createHttp2Transport, loadKubeconfig, RestClient } from '@pilothouse/client';
import type { FlagSpecs } from '@pilothouse/host';
import { flagUsage, nodeClock, parseFlags, renderKubeconfig } from '@pilothouse/host';
import { CommandError } from '../errors.ts';
import { kubeconfigPath } from '../plane/layout.ts';
import { defaultDataDirectory } from './shared.ts';

export const joinFlags: FlagSpecs = {
  'data-dir': { type: 'string', default: '', help: 'The directory of the plane, for its kubeconfig' },
  kubeconfig: {
    type: 'string',
    default: '',
    help: 'An administrator of the cluster; default: that of the plane',
  },
  server: {
    type: 'string',
    default: '',
    help: 'Address of the API for nodes; default: that of the kubeconfig',
  },
  ttl: { type: 'duration', default: '24h', help: 'How long the token is good; 0: for ever' },
  output: { type: 'string', default: '', help: 'kubeconfig: only the bootstrap kubeconfig' },
};

/** Group of the tokens that this command makes, as kubeadm's. */
export const nodeTokenGroup = 'system:bootstrappers:kubeadm:default-node-token';

const secrets: ResourceRef = { group: '', version: 'v1', resource: 'secrets' };
const configMaps: ResourceRef = { group: '', version: 'v1', resource: 'configmaps' };
const rbac = (resource: string): ResourceRef => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  resource,
});

export interface JoinResult {
  /** `abcdef.0123456789abcdef`. */
  readonly token: string;
  /** RFC 3339; undefined: never. */
  readonly expires: string | undefined;
  /** `sha256:` of the CA's public key, as kubeadm's --discovery-token-ca-cert-hash. */
  readonly caHash: string;
  /** For the kubelet's --bootstrap-kubeconfig. */
  readonly kubeconfig: string;
}

/**
 * Makes a bootstrap token and everything that a kubelet's TLS bootstrap needs: the rights to ask for a certificate and to have it approved
 * and renewed, and kube-public/cluster-info, signed with the token, for kubeadm's discovery. Idempotent but for the token.
 */
export async function prepareJoin(
  client: RestClient,
  options: { server: string; ca: string; ttlMs: number; nowMs: number },
): Promise<JoinResult> {
  const id = randomText(6);
  const secret = randomText(16);
  const expires =
    options.ttlMs > 0 ? `${new Date(options.nowMs + options.ttlMs).toISOString().slice(0, 19)}Z` : undefined;
  await client.create(secrets, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
    type: 'bootstrap.kubernetes.io/token',
    stringData: {
      'token-id': id,
      'token-secret': secret,
      'usage-bootstrap-authentication': 'true',
      'usage-bootstrap-signing': 'true',
      'auth-extra-groups': nodeTokenGroup,
      description: 'pilothouse join',
      ...(expires === undefined ? {} : { expiration: expires }),
    },
  } as KubeObject);
  await allowBootstrap(client);
  await publishClusterInfo(client, options, id, secret);
  const token = `${id}.${secret}`;
  return {
    token,
    expires,
    caHash: caHashOf(options.ca),
    kubeconfig: renderKubeconfig({
      server: options.server,
      ca: options.ca,
      user: 'kubelet-bootstrap',
      token,
      cluster: 'kubernetes',
    }),
  };
}

/** SHA-256 of the DER of the public key (SubjectPublicKeyInfo). */
export function caHashOf(caPem: string): string {
  const key = new X509Certificate(caPem).publicKey.export({ type: 'spki', format: 'der' });
  return `sha256:${createHash('sha256').update(key).digest('hex')}`;
}

/** JWS over `content` in the detached form of cluster-info: HS256 with the token's secret, the middle part left out. */
export function detachedSignature(content: string, tokenId: string, tokenSecret: string): string {
  const encode = (text: string): string => Buffer.from(text).toString('base64url');
  const header = encode(JSON.stringify({ alg: 'HS256', kid: tokenId }));
  const signature = createHmac('sha256', tokenSecret)
    .update(`${header}.${encode(content)}`)
    .digest('base64url');
  return `${header}..${signature}`;
}

async function allowBootstrap(client: RestClient): Promise<void> {
  const group = (name: string): object => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name });
  const bind = (name: string, role: string, who: string): Promise<void> =>
    ensure(client, rbac('clusterrolebindings'), {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      subjects: [group(who)],
    });
  const csr = 'system:certificates.k8s.io:certificatesigningrequests';
  await bind('kubeadm:kubelet-bootstrap', 'system:node-bootstrapper', nodeTokenGroup);
  await bind('kubeadm:node-autoapprove-bootstrap', `${csr}:nodeclient`, nodeTokenGroup);
  await bind('kubeadm:node-autoapprove-certificate-rotation', `${csr}:selfnodeclient`, 'system:nodes');
  // Whoever wants to join has no credentials yet: what is published is signed instead.
  const name = 'kubeadm:bootstrap-signer-clusterinfo';
  const metadata = { name, namespace: 'kube-public' };
  await ensure(client, rbac('roles'), {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata,
    rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: ['cluster-info'], verbs: ['get'] }],
  });
  await ensure(client, rbac('rolebindings'), {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata,
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'system:anonymous' }],
  });
}

async function publishClusterInfo(
  client: RestClient,
  options: { server: string; ca: string },
  id: string,
  secret: string,
): Promise<void> {
  const ca = Buffer.from(options.ca).toString('base64');
  const wanted = `apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: ${ca}\n    server: ${options.server}\n  name: ""\ncontexts: null\ncurrent-context: ""\nkind: Config\npreferences: {}\nusers: null\n`;
  const metadata = { name: 'cluster-info', namespace: 'kube-public' };
  for (let attempt = 0; ; attempt++) {
    const there = await client
      .get<KubeObject>(configMaps, 'cluster-info', { namespace: 'kube-public' })
      .catch((error: unknown) => {
        if (hasReason(error, 'NotFound')) return undefined;
        throw error;
      });
    const old = (there?.['data'] ?? {}) as Record<string, string>;
    // The signatures of other tokens hold as long as the text stays.
    const kept = old['kubeconfig'] === wanted ? old : {};
    const signature = detachedSignature(wanted, id, secret);
    const data = { ...kept, kubeconfig: wanted, [`jws-kubeconfig-${id}`]: signature };
    try {
      if (there) await client.update(configMaps, { ...there, data });
      else await client.create(configMaps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
      return;
    } catch (error) {
      const raced = hasReason(error, 'Conflict') || hasReason(error, 'AlreadyExists');
      if (!raced || attempt >= 4) throw error;
    }
  }
}

async function ensure(client: RestClient, ref: ResourceRef, object: KubeObject): Promise<void> {
  await client.create(ref, object).catch((error: unknown) => {
    if (!hasReason(error, 'AlreadyExists')) throw error;
  });
}

function randomText(length: number): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length }, () => letters[randomInt(letters.length)]).join('');
}

/** `pilothouse join`: what a kubelet needs to become a node of the cluster. */
export async function join(argv: readonly string[]): Promise<void> {
  if (argv.includes('--help') || argv[0] === 'help') {
    process.stdout.write(
      `pilothouse join   make a bootstrap token and print what a kubelet needs\n${flagUsage(joinFlags)}\n`,
    );
    return;
  }
  const { values } = parseFlags(joinFlags, argv);
  const dataDir = path.resolve((values['data-dir'] as string) || defaultDataDirectory());
  const access = loadKubeconfig((values['kubeconfig'] as string) || kubeconfigPath(dataDir, 'admin'));
  if (access.ca === undefined)
    throw new CommandError('The kubeconfig names no certificate authority: nodes could not know the server');
  const server = (values['server'] as string) || access.server;
  const transport = createHttp2Transport(access, nodeClock);
  try {
    const client = new RestClient(transport, { clock: nodeClock, userAgent: 'pilothouse-join' });
    const ttlMs = values['ttl'] as number;
    const result = await prepareJoin(client, { server, ca: access.ca, ttlMs, nowMs: nodeClock.now() });
    process.stdout.write(values['output'] === 'kubeconfig' ? result.kubeconfig : textOf(result, server));
  } finally {
    transport.close();
  }
}

function textOf({ token, expires, caHash, kubeconfig }: JoinResult, server: string): string {
  const { host } = new URL(server);
  return `# Bootstrap token, ${expires === undefined ? 'without an end' : `until ${expires}`}; whoever has it can join a node.
# A kubelet joins with this kubeconfig in --bootstrap-kubeconfig (and --kubeconfig, --cert-dir, --rotate-certificates):
${kubeconfig}
# token                          ${token}
# --discovery-token-ca-cert-hash ${caHash}
# discovery, as kubeadm's        https://${host}/api/v1/namespaces/kube-public/configmaps/cluster-info
# Serving certificates (kubernetes.io/kubelet-serving) wait for: kubectl certificate approve NAME
`;
}
