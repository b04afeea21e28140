import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { run, type Checks } from '../checks.ts';
import { prepareTools } from '../tools.ts';
import type { Plane } from '../plane.ts';
import { startAuditedPlane } from './audited-plane.ts';
import { tour } from '../tour/tour.ts';
import { exceptions } from './rights-exceptions.ts';
import { namespace, workload } from './rights-workload.ts';

const policy =
  'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n';

interface AuditLine {
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly user: { readonly username?: string; readonly groups?: readonly string[] };
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource: string;
    readonly subresource?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number; readonly message?: string };
}

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
}

interface Binding {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly roleRef: { readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

interface Role {
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly rules?: readonly Rule[];
}

/**
 * A plane whose audit log says who asked for what, while controllers, scheduler and nodes work. No component is refused anything, none acts
 * as another, each has its own default roles and no more, and each right it has was used or has a reason to be there.
 */
export async function rights(
  checks: Checks,
  port: number,
  kubectl: string,
  withTour: boolean,
): Promise<void> {
  const { plane, folder, auditLog, remove } = await startAuditedPlane({ port, policy, nodes: 2 });
  let stopped = false;
  try {
    const kube = kubectlOf(kubectl, plane.kubeconfig);
    await work(checks, kube, folder);
    const accounts = await accountNames(kube);
    await noMore(checks, plane, kubectl, accounts);
    const roles = await rolesOf(kube);
    const bindings = await bindingsOf(kube);
    if (withTour) await tour(checks, await prepareTools(), plane.kubeconfig, undefined);
    await plane.stop();
    stopped = true;
    const lines = readFileSync(auditLog, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditLine);
    await judge(checks, lines, accounts, roles, bindings);
  } finally {
    if (!stopped) await plane.stop();
    remove();
  }
}

type Kube = (...args: readonly string[]) => Promise<string>;

const kubectlOf =
  (kubectl: string, kubeconfig: string): Kube =>
  async (...args) => {
    const result = await run(kubectl, ['--kubeconfig', kubeconfig, ...args], { timeoutMs: 120_000 });
    if (result.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };

const itemsOf = <T>(text: string): readonly T[] => (JSON.parse(text) as { items: readonly T[] }).items;

/** Service accounts of controllers: those of kube-system that have a default role. */
async function accountNames(kube: Kube): Promise<readonly string[]> {
  const names = itemsOf<Role>(await kube('get', 'serviceaccounts', '-n', 'kube-system', '-o', 'json'));
  return names.map(({ metadata }) => metadata.name).filter((name) => name !== 'default');
}

async function rolesOf(kube: Kube): Promise<ReadonlyMap<string, readonly Rule[]>> {
  const cluster = itemsOf<Role>(await kube('get', 'clusterroles', '-o', 'json'));
  const local = itemsOf<Role>(await kube('get', 'roles', '-A', '-o', 'json'));
  return new Map(
    [...cluster, ...local].map(({ metadata, rules }) => [
      `${metadata.namespace ?? ''}/${metadata.name}`,
      rules ?? [],
    ]),
  );
}

async function bindingsOf(kube: Kube): Promise<readonly Binding[]> {
  const cluster = itemsOf<Binding>(await kube('get', 'clusterrolebindings', '-o', 'json'));
  return [...cluster, ...itemsOf<Binding>(await kube('get', 'rolebindings', '-A', '-o', 'json'))];
}

/** What each component may not do, asked with its own credentials. */
async function noMore(
  checks: Checks,
  plane: Plane,
  kubectl: string,
  accounts: readonly string[],
): Promise<void> {
  const refused = async (
    name: string,
    credentials: readonly string[],
    requests: readonly string[],
  ): Promise<void> => {
    await checks.check(`rights: ${name} cannot do more`, async () => {
      for (const request of requests) {
        const result = await run(kubectl, [...credentials, ...request.split(' ')], { timeoutMs: 30_000 });
        if (!/\(Forbidden\)|is forbidden/.test(result.stderr))
          throw new Error(`kubectl ${request}: ${result.stdout}${result.stderr}`);
      }
    });
  };
  const file = (who: string): string[] => [
    '--kubeconfig',
    path.join(plane.dataDir, 'kubeconfig', `${who}.yaml`),
  ];
  const common = [
    'get secrets -A',
    'delete namespace default',
    'create clusterrole x --verb=get --resource=pods',
    'get --raw /debug/pprof/',
  ];
  await refused('the scheduler', file('scheduler'), [
    ...common,
    'create deployment d --image=i',
    'delete node node-0',
    'get pods -A --as=kubernetes-admin',
  ]);
  await refused('a node', file('node-0'), [
    ...common,
    'delete node node-1',
    'label node node-1 a=b',
    'label node node-0 node-restriction.kubernetes.io/a=b',
    'get secret none -n kube-system',
    'create token default -n kube-system',
  ]);
  await refused('the controller manager', file('controller-manager'), [
    'delete namespace default',
    'delete pod none',
    'create deployment d --image=i',
    'create clusterrole x --verb=get --resource=pods',
    'get --raw /debug/pprof/',
  ]);
  const admin = kubectlOf(kubectl, plane.kubeconfig);
  const mayReadAll = [
    'generic-garbage-collector',
    'namespace-controller',
    'resourcequota-controller',
    'horizontal-pod-autoscaler',
  ];
  for (const account of accounts) {
    const token = (await admin('create', 'token', account, '-n', 'kube-system')).trim();
    // Names that are made up: a request that is let through changes nothing.
    await refused(
      `the account ${account}`,
      [
        '--kubeconfig',
        '/dev/null',
        '--server',
        plane.server,
        '--certificate-authority',
        path.join(plane.dataDir, 'pki', 'ca.crt'),
        '--token',
        token,
      ],
      [
        ...(mayReadAll.includes(account) ? [] : ['get secrets -A']),
        'create clusterrolebinding x --clusterrole=cluster-admin --user=x',
        'create token default -n default',
        ...(['namespace-controller', 'generic-garbage-collector'].includes(account)
          ? []
          : ['delete service none-such']),
      ],
    );
  }
}

async function work(checks: Checks, kube: Kube, folder: string): Promise<void> {
  const manifest = path.join(folder, 'workload.json');
  writeFileSync(manifest, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: workload }));
  await checks.check('rights: the controllers, the scheduler and the nodes do their work', async () => {
    await kube('apply', '-f', manifest);
    await kube('-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=90s');
    await kube('-n', namespace, 'rollout', 'status', 'daemonset/all', '--timeout=90s');
    await kube('-n', namespace, 'rollout', 'status', 'statefulset/db', '--timeout=90s');
    await kube('-n', namespace, 'set', 'env', 'deployment/web', 'A=b');
    await kube('-n', namespace, 'set', 'env', 'daemonset/all', 'A=b');
    await kube('-n', namespace, 'set', 'env', 'statefulset/db', 'A=b');
    await kube('-n', namespace, 'rollout', 'status', 'deployment/web', '--timeout=90s');
    await kube('-n', namespace, 'create', 'job', '--from=cronjob/often', 'now');
    await kube('-n', namespace, 'delete', 'rc/old', '--cascade=foreground', '--timeout=60s');
    await kube('-n', namespace, 'wait', '--for=delete', 'job/once', '--timeout=90s');
    await kube('delete', 'namespace', namespace, '--timeout=90s');
    await kube(
      'delete',
      'pv/rights',
      'clusterrole/rights-aggregated',
      'clusterrole/rights-part',
      'validatingadmissionpolicy/rights',
      '--timeout=60s',
    );
  });
}

const accountPrefix = 'system:serviceaccount:kube-system:';

async function judge(
  checks: Checks,
  lines: readonly AuditLine[],
  accounts: readonly string[],
  roles: ReadonlyMap<string, readonly Rule[]>,
  bindings: readonly Binding[],
): Promise<void> {
  const isComponent = (name: string): boolean =>
    name.startsWith(accountPrefix) || /^system:(kube-|node:)/.test(name);
  const ours = lines.filter(
    ({ user, userAgent }) => isComponent(user.username ?? '') && !userAgent?.startsWith('kubectl'),
  );
  await checks.check('rights: no component was refused anything', async () => {
    const denied = ours.filter(
      ({ responseStatus }) =>
        [401, 403].includes(responseStatus?.code ?? 0) && !isByAdmission(responseStatus?.message),
    );
    if (denied.length > 0)
      throw new Error(
        [
          ...new Set(
            denied.map((line) => `${line.user.username}: ${shown(line)}: ${line.responseStatus?.message}`),
          ),
        ].join('\n'),
      );
  });
  await checks.check(
    'rights: the balancer asks for readiness only, and nobody works as the administrator',
    async () => {
      const anonymous = lines.filter(({ user }) => user.username === 'system:anonymous').map(shown);
      const odd = [...new Set(anonymous)].filter((each) => !/^get \/(readyz|livez|healthz)/.test(each));
      if (odd.length > 0) throw new Error(`anonymous: ${odd.join(', ')}`);
      const asAdmin = lines.filter(
        ({ user, userAgent = '' }) =>
          user.groups?.includes('system:masters') === true &&
          /kube-scheduler|controller-manager|node-agent/.test(userAgent),
      );
      if (asAdmin.length > 0)
        throw new Error(`${asAdmin[0]?.userAgent} asked as ${asAdmin[0]?.user.username}`);
    },
  );
  const identities = [
    'system:kube-scheduler',
    'system:kube-controller-manager',
    ...accounts.map((account) => accountPrefix + account),
  ];
  for (const identity of identities) {
    const used = ours.filter(({ user }) => user.username === identity);
    const own = bindings.filter(({ subjects = [] }) =>
      subjects.some((subject) => nameOf(subject) === identity),
    );
    await checks.check(
      `rights: ${identity}: ${used.length} requests, default roles only, none without need`,
      async () => {
        const foreign = own.filter(({ roleRef }) => !isDefaultRole(identity, roleRef.name));
        if (foreign.length > 0)
          throw new Error(`bound to ${foreign.map(({ roleRef }) => roleRef.name).join(', ')}`);
        const unused = own.flatMap(({ roleRef, metadata }) => {
          const rules =
            roles.get(`${roleRef.kind === 'Role' ? metadata.namespace : ''}/${roleRef.name}`) ?? [];
          return rules.flatMap(rightsOf).filter((right) => !used.some((line) => isUse(right, line)));
        });
        const unexplained = unused.filter(
          (right) => !exceptions.some(({ who, what }) => who.test(identity) && what.test(text(right))),
        );
        if (unexplained.length > 0)
          throw new Error(
            `not used and without a reason:\n  ${[...new Set(unexplained.map(text))].join('\n  ')}`,
          );
      },
    );
  }
}

/** Refused by quota, not by rights. */
const isByAdmission = (message = ''): boolean =>
  /exceeded quota|being terminated|is forbidden: .*(quota|PodSecurity)/.test(message);

const shown = ({ verb, objectRef, requestURI }: AuditLine): string =>
  objectRef === undefined
    ? `${verb} ${requestURI.split('?')[0]}`
    : `${verb} ${objectRef.apiGroup ?? ''}/${objectRef.resource}${objectRef.subresource === undefined ? '' : `/${objectRef.subresource}`}`;

const nameOf = ({
  kind,
  name,
  namespace: space,
}: {
  kind: string;
  name: string;
  namespace?: string;
}): string => (kind === 'ServiceAccount' ? `system:serviceaccount:${space}:${name}` : name);

function isDefaultRole(identity: string, role: string): boolean {
  const short = identity.split(':').pop() as string;
  if (identity.startsWith(accountPrefix)) return role === `system:controller:${short}`;
  return [
    identity,
    'system:volume-scheduler',
    'extension-apiserver-authentication-reader',
    `system::leader-locking-${short}`,
  ].includes(role);
}

interface Right {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
}

const text = ({ verb, group, resource }: Right): string => `${verb} ${group}/${resource}`;

/** Reading is one right: which of its verbs an informer uses is its own affair. So are the ways of writing an event. */
function rightsOf(rule: Rule): readonly Right[] {
  const rightsFound = new Map<string, Right>();
  for (const group of rule.apiGroups ?? [])
    for (const resource of rule.resources ?? [])
      for (const given of rule.verbs) {
        const isEvent = resource === 'events';
        const verb = isEvent
          ? 'write'
          : ['get', 'list', 'watch'].includes(given)
            ? 'read'
            : ['update', 'patch'].includes(given)
              ? 'change'
              : given;
        const right = { verb, group: isEvent ? '' : group, resource };
        rightsFound.set(text(right), right);
      }
  return [...rightsFound.values()];
}

function isUse({ verb, group, resource }: Right, { verb: asked, objectRef }: AuditLine): boolean {
  if (objectRef === undefined) return false;
  const name = `${objectRef.resource}${objectRef.subresource === undefined ? '' : `/${objectRef.subresource}`}`;
  const isVerb =
    verb === '*' ||
    verb === asked ||
    (verb === 'write' && ['create', 'patch', 'update'].includes(asked)) ||
    (verb === 'read' && ['get', 'list', 'watch'].includes(asked)) ||
    (verb === 'change' && ['update', 'patch'].includes(asked));
  const isGroup = group === '*' || group === (objectRef.apiGroup ?? '') || resource === 'events';
  const isResource =
    resource === '*' || resource === name || (resource.startsWith('*/') && name.endsWith(resource.slice(1)));
  return isVerb && isGroup && isResource;
}
