import { createAuthority, issueCertificate, nodeClock } from '@pilothouse/host';
import type { CertificateAndKey } from '@pilothouse/host';
import type { Checks, CommandResult } from '../checks.ts';
import { expectResult } from '../checks.ts';

type Command = (
  args: readonly string[],
  options?: { timeoutMs?: number; env?: Record<string, string>; input?: string },
) => Promise<CommandResult>;

interface Certificate {
  metadata: { name: string };
  spec: {
    secretName: string;
    commonName: string;
    isCA?: boolean;
    subject?: { organizations?: string[] };
    dnsNames?: string[];
    ipAddresses?: string[];
    usages: string[];
    issuerRef: { name: string };
  };
}

interface PodVolume {
  projected?: {
    sources: {
      secret?: { name: string; items: { key: string; path: string }[] };
      configMap?: { name: string; items: { key: string; path: string }[] };
    }[];
  };
}

const namespace = 'issued';

/** The part of cert-manager's kinds that the chart writes; what the chart gets wrong, strict validation refuses. */
const definition = (plural: string, kind: string, spec: object): object => ({
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `${plural}.cert-manager.io` },
  spec: {
    group: 'cert-manager.io',
    scope: 'Namespaced',
    names: { plural, kind, singular: kind.toLowerCase(), listKind: `${kind}List` },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            required: ['spec'],
            properties: { spec: { type: 'object', ...spec } },
          },
        },
      },
    ],
  },
});

const text = { type: 'string' };
const texts = { type: 'array', items: text };
const duration = { type: 'string', pattern: '^[0-9]+h$' };
const definitions = [
  definition('issuers', 'Issuer', {
    properties: {
      selfSigned: { type: 'object' },
      ca: { type: 'object', required: ['secretName'], properties: { secretName: text } },
    },
  }),
  definition('certificates', 'Certificate', {
    required: ['secretName', 'issuerRef'],
    properties: {
      secretName: text,
      isCA: { type: 'boolean' },
      commonName: { type: 'string', maxLength: 64 },
      subject: { type: 'object', properties: { organizations: texts } },
      dnsNames: texts,
      ipAddresses: texts,
      duration,
      usages: texts,
      privateKey: {
        type: 'object',
        properties: {
          algorithm: { enum: ['RSA', 'ECDSA', 'Ed25519'], type: 'string' },
          size: { type: 'integer' },
          encoding: { enum: ['PKCS1', 'PKCS8'], type: 'string' },
          rotationPolicy: { enum: ['Never', 'Always'], type: 'string' },
        },
      },
      issuerRef: {
        type: 'object',
        required: ['name'],
        properties: { name: text, kind: text, group: text },
      },
    },
  }),
];

/** Does cert-manager's work once: a Secret for each Certificate, signed by whom its issuer names. Returns the Secrets' names. */
async function issueAll(kubectl: Command): Promise<string[]> {
  const listed = await kubectl(['get', 'certificates', '-n', namespace, '-o', 'json']);
  const certificates = (JSON.parse(listed.stdout) as { items: Certificate[] }).items;
  const notBefore = nodeClock.now() - 60_000;
  const notAfter = notBefore + 86_400_000;
  const authorities = new Map<string, CertificateAndKey>();
  const made = new Map<string, CertificateAndKey & { readonly ca: string }>();
  for (const { metadata, spec } of certificates) {
    if (!spec.isCA && !spec.issuerRef.name.endsWith('-selfsigned')) continue;
    const authority = await createAuthority(spec.commonName, notBefore, notAfter);
    if (spec.isCA) authorities.set(metadata.name, authority);
    made.set(spec.secretName, { ...authority, ca: authority.certPem });
  }
  for (const { metadata, spec } of certificates) {
    if (made.has(spec.secretName)) continue;
    const authority = authorities.get(spec.issuerRef.name);
    if (authority === undefined)
      throw new Error(`${metadata.name} names ${spec.issuerRef.name}, which signs nothing`);
    const client = spec.usages.includes('client auth');
    const server = spec.usages.includes('server auth');
    const leaf = await issueCertificate(authority, {
      commonName: spec.commonName,
      organizations: spec.subject?.organizations ?? [],
      hosts: [...(spec.dnsNames ?? []), ...(spec.ipAddresses ?? [])],
      usage: client && server ? 'peer' : server ? 'server' : 'client',
      notBefore,
      notAfter,
    });
    made.set(spec.secretName, { ...leaf, ca: authority.certPem });
  }
  const items = [...made].map(([name, { certPem, keyPem, ca }]) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name, namespace },
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': certPem, 'tls.key': keyPem, 'ca.crt': ca },
  }));
  const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  expectResult('secrets', await kubectl(['create', '-f', '-'], { input: list }), {});
  return [...made.keys()];
}

/** Every file that a pod mounts exists in what was made. */
async function checkMounts(kubectl: Command, secrets: ReadonlySet<string>): Promise<void> {
  const listed = await kubectl(['get', 'pods', '-n', namespace, '-o', 'json']);
  const pods = (JSON.parse(listed.stdout) as { items: { spec: { volumes: PodVolume[] } }[] }).items;
  const maps = await kubectl(['get', 'configmaps', '-n', namespace, '-o', 'json']);
  const keys = new Map(
    (
      JSON.parse(maps.stdout) as { items: { metadata: { name: string }; data?: Record<string, string> }[] }
    ).items.map((map) => [map.metadata.name, Object.keys(map.data ?? {})]),
  );
  let sources = 0;
  for (const volume of pods.flatMap((pod) => pod.spec.volumes))
    for (const { secret, configMap } of volume.projected?.sources ?? []) {
      sources++;
      if (secret && !secrets.has(secret.name)) throw new Error(`Nobody makes Secret ${secret.name}`);
      for (const { key } of secret?.items ?? [])
        if (!['tls.crt', 'tls.key', 'ca.crt'].includes(key))
          throw new Error(`cert-manager writes no key ${key}`);
      for (const { key } of configMap?.items ?? [])
        if (!keys.get((configMap as { name: string }).name)?.includes(key)) throw new Error(`No ${key}`);
    }
  if (sources < 20) throw new Error(`Only ${sources} sources are mounted`);
}

/** `certificates.mode=certManager`, with this test in the part of cert-manager. */
export async function certManagerMode(
  checks: Checks,
  chart: string,
  helm: Command,
  kubectl: Command,
  env: Record<string, string>,
): Promise<void> {
  await checks.check('cert-manager’s kinds', async () => {
    const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: definitions });
    expectResult('crds', await kubectl(['create', '-f', '-'], { input: list }), {});
    expectResult(
      'established',
      await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=20s']),
      {},
    );
  });
  const installed = await checks.check('helm install with certificates.mode=certManager', async () => {
    const args = [
      'install',
      'x',
      chart,
      '-n',
      namespace,
      '--create-namespace',
      '--set',
      'certificates.mode=certManager,nodes.replicas=1,console.enabled=true,serviceMonitor.enabled=false',
    ];
    expectResult('install', await helm(args, { env, timeoutMs: 60_000 }), {
      matches: [/STATUS: deployed/, /x-pilothouse-tls-admin/],
      lacks: [/unknown field/],
    });
  });
  if (!installed) return;
  await checks.check('each Certificate can be issued, and every mounted file exists', async () =>
    checkMounts(kubectl, new Set(await issueAll(kubectl))),
  );
  await checks.check('every pod becomes ready', async () =>
    expectResult(
      'wait',
      await kubectl(['wait', '--for=condition=Ready', 'pod', '--all', '-n', namespace, '--timeout=90s'], {
        timeoutMs: 100_000,
      }),
      { matches: [/condition met/] },
    ),
  );
  await checks.check('helm uninstall', async () =>
    expectResult('uninstall', await helm(['uninstall', 'x', '-n', namespace, '--wait'], { env }), {}),
  );
}
