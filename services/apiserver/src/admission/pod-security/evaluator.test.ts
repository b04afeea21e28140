import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEvaluator } from './evaluator.ts';
import type { PodSecurityLevel } from './finding.ts';
import { podView } from './finding.ts';

interface Case {
  readonly spec?: object;
  readonly container?: object;
  readonly annotations?: Record<string, string>;
}

/** Passes the restricted level of every release. */
const goodContainer = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const goodPod = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };

function view({ spec = {}, container = {}, annotations = {} }: Case) {
  return podView({
    metadata: { name: 'p', annotations },
    spec: {
      ...spec,
      securityContext: { ...goodPod, ...(spec as { securityContext?: object }).securityContext },
      containers: [
        {
          name: 'c',
          image: 'i',
          ...container,
          securityContext: {
            ...goodContainer,
            ...(container as { securityContext?: object }).securityContext,
          },
        },
      ],
    },
  } as never);
}

const evaluate = openEvaluator();

function reasons(level: PodSecurityLevel, version: string, pod: Case): string[] {
  return evaluate({ level, version }, view(pod)).map(({ reason }) => reason);
}

const windows = { os: { name: 'windows' } };
const container = (securityContext: object): Case => ({ container: { securityContext } });
const pod = (securityContext: object): Case => ({ spec: { securityContext } });
const sysctl = (name: string): Case => pod({ sysctls: [{ name, value: '1' }] });
const seLinux = (type: string): Case => pod({ seLinuxOptions: { type } });
const from = (minor: number): string => `v1.${minor}`;
const always = 'v1.0';

/** What breaks a level, the reason that is told, and the first release that asks (`since`) or no longer asks (`until`). */
const cases: readonly {
  readonly level: 'baseline' | 'restricted';
  readonly reason: string;
  readonly pod: Case;
  readonly since?: number;
  readonly until?: number;
}[] = [
  // baseline
  {
    level: 'baseline',
    reason: 'forbidden AppArmor profile',
    pod: pod({ appArmorProfile: { type: 'Unconfined' } }),
  },
  {
    level: 'baseline',
    reason: 'forbidden AppArmor profile',
    pod: { annotations: { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' } },
  },
  {
    level: 'baseline',
    reason: 'non-default capabilities',
    pod: container({ capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } }),
  },
  { level: 'baseline', reason: 'host namespaces', pod: { spec: { hostPID: true } } },
  {
    level: 'baseline',
    reason: 'hostPath volumes',
    pod: { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } },
  },
  { level: 'baseline', reason: 'hostPort', pod: { container: { ports: [{ hostPort: 80 }] } } },
  {
    level: 'baseline',
    reason: 'probe or lifecycle host',
    pod: { container: { livenessProbe: { httpGet: { port: 80, host: '127.0.0.1' } } } },
    since: 34,
  },
  {
    level: 'baseline',
    reason: 'probe or lifecycle host',
    pod: { container: { lifecycle: { preStop: { tcpSocket: { port: 80, host: 'a.b' } } } } },
    since: 34,
  },
  { level: 'baseline', reason: 'privileged', pod: container({ privileged: true }) },
  { level: 'baseline', reason: 'procMount', pod: container({ procMount: 'Unmasked' }) },
  {
    level: 'baseline',
    reason: 'procMount',
    pod: { spec: { hostUsers: false }, ...container({ procMount: 'Unmasked' }) },
    until: 35,
  },
  { level: 'baseline', reason: 'seLinuxOptions', pod: seLinux('spc_t') },
  { level: 'baseline', reason: 'seLinuxOptions', pod: seLinux('container_engine_t'), until: 31 },
  { level: 'baseline', reason: 'seLinuxOptions', pod: pod({ seLinuxOptions: { role: 'r' } }) },
  {
    level: 'baseline',
    reason: 'seccompProfile',
    pod: { annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' } },
    until: 19,
  },
  {
    level: 'baseline',
    reason: 'seccompProfile',
    pod: { annotations: { 'container.seccomp.security.alpha.kubernetes.io/c': 'unconfined' } },
    until: 19,
  },
  {
    level: 'baseline',
    reason: 'seccompProfile',
    pod: container({ seccompProfile: { type: 'Unconfined' } }),
    since: 19,
  },
  { level: 'baseline', reason: 'forbidden sysctls', pod: sysctl('kernel.msgmax') },
  {
    level: 'baseline',
    reason: 'forbidden sysctls',
    pod: sysctl('net.ipv4.ip_local_reserved_ports'),
    until: 27,
  },
  {
    level: 'baseline',
    reason: 'forbidden sysctls',
    pod: sysctl('net.ipv4.tcp_keepalive_probes'),
    until: 29,
  },
  { level: 'baseline', reason: 'forbidden sysctls', pod: sysctl('net.ipv4.tcp_rmem'), until: 32 },
  { level: 'baseline', reason: 'hostProcess', pod: pod({ windowsOptions: { hostProcess: true } }) },
  // restricted
  {
    level: 'restricted',
    reason: 'allowPrivilegeEscalation != false',
    pod: container({ allowPrivilegeEscalation: undefined }),
    since: 8,
  },
  {
    level: 'restricted',
    reason: 'allowPrivilegeEscalation != false',
    pod: { spec: windows, ...container({ allowPrivilegeEscalation: undefined }) },
    since: 8,
    until: 25,
  },
  {
    level: 'restricted',
    reason: 'unrestricted capabilities',
    pod: container({ capabilities: {} }),
    since: 22,
  },
  {
    level: 'restricted',
    reason: 'unrestricted capabilities',
    pod: { spec: windows, ...container({ capabilities: undefined }) },
    since: 22,
    until: 25,
  },
  {
    level: 'restricted',
    reason: 'procMount',
    pod: { spec: { hostUsers: false }, ...container({ procMount: 'Unmasked' }) },
  },
  {
    level: 'restricted',
    reason: 'restricted volume types',
    pod: { spec: { volumes: [{ name: 'v', nfs: {} }] } },
  },
  {
    level: 'restricted',
    reason: 'restricted volume types',
    pod: { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } },
  },
  { level: 'restricted', reason: 'runAsNonRoot != true', pod: pod({ runAsNonRoot: undefined }) },
  {
    level: 'restricted',
    reason: 'runAsNonRoot != true',
    pod: { spec: { hostUsers: false, securityContext: { runAsNonRoot: false } } },
    until: 35,
  },
  { level: 'restricted', reason: 'runAsUser=0', pod: container({ runAsUser: 0 }), since: 23 },
  {
    level: 'restricted',
    reason: 'runAsUser=0',
    pod: { spec: { hostUsers: false }, ...container({ runAsUser: 0 }) },
    since: 23,
    until: 35,
  },
  {
    level: 'restricted',
    reason: 'seccompProfile',
    pod: pod({ seccompProfile: undefined }),
    since: 19,
  },
  {
    level: 'restricted',
    reason: 'seccompProfile',
    pod: { spec: { ...windows, securityContext: { seccompProfile: undefined } } },
    since: 19,
    until: 25,
  },
  {
    level: 'restricted',
    reason: 'seccompProfile',
    pod: { annotations: { 'seccomp.security.alpha.kubernetes.io/pod': 'unconfined' } },
    until: 19,
  },
];

for (const { level, reason, pod: broken, since = 0, until = 37 } of cases) {
  test(`${level} asks for ${reason} from v1.${since} to before v1.${until}`, () => {
    for (let minor = 0; minor <= 36; minor++) {
      const expected = minor >= since && minor < until ? [reason] : [];
      assert.deepEqual(reasons(level, from(minor), broken), expected, from(minor));
    }
    assert.deepEqual(reasons(level, 'latest', broken), until > 36 ? [reason] : []);
    assert.deepEqual(reasons('privileged', 'latest', broken), []);
  });
}

test('what breaks the baseline breaks the restricted level too', () => {
  for (const { level, reason, pod: broken, since = 0, until = 37 } of cases) {
    if (level !== 'baseline') continue;
    // Once the restricted level has its own words for it, or goes on asking.
    if (['hostPath volumes', 'non-default capabilities', 'procMount'].includes(reason)) continue;
    for (const minor of [since, until - 1])
      assert.deepEqual(reasons('restricted', from(minor), broken), [reason], `${reason} ${from(minor)}`);
  }
});

test('a stricter check takes the place of the one of the baseline', () => {
  const adding = container({ capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } });
  assert.deepEqual(reasons('restricted', 'v1.21', adding), ['non-default capabilities']);
  assert.deepEqual(reasons('restricted', 'v1.22', adding), ['unrestricted capabilities']);
  const mounting = { spec: { volumes: [{ name: 'v', hostPath: { path: '/' } }] } };
  assert.deepEqual(reasons('restricted', always, mounting), ['restricted volume types']);
});

test('a good pod passes every level of every release', () => {
  for (let minor = 0; minor <= 40; minor++)
    for (const level of ['baseline', 'restricted'] as const)
      assert.deepEqual(reasons(level, from(minor), {}), [], `${level} ${from(minor)}`);
});

test('releases to come are judged as the newest, and never newer than the one that is emulated', () => {
  const probe = { container: { livenessProbe: { tcpSocket: { port: 1, host: 'h' } } } };
  assert.deepEqual(reasons('baseline', 'v1.99999', probe), ['probe or lifecycle host']);
  const emulating = openEvaluator(33);
  for (const version of ['latest', 'v1.34', 'v1.36'])
    assert.deepEqual(emulating({ level: 'baseline', version }, view(probe)), []);
});

test('findings say what and where', () => {
  const all = evaluate(
    { level: 'restricted', version: 'latest' },
    podView({
      metadata: {
        name: 'p',
        annotations: { 'container.apparmor.security.beta.kubernetes.io/a': 'unconfined' },
      },
      spec: {
        hostNetwork: true,
        hostIPC: true,
        volumes: [
          { name: 'x', gitRepo: {} },
          { name: 'y', hostPath: {} },
        ],
        securityContext: {
          runAsUser: 0,
          runAsNonRoot: false,
          appArmorProfile: { type: 'zzz' },
          seLinuxOptions: { type: 't', user: 'u', role: 'r' },
          windowsOptions: { hostProcess: true },
        },
        initContainers: [{ name: 'b', securityContext: { privileged: true, runAsUser: 0 } }],
        containers: [
          {
            name: 'a',
            startupProbe: { httpGet: { host: 'h2' } },
            ports: [{ hostPort: 9 }, { hostPort: 10 }],
          },
        ],
        ephemeralContainers: [{ name: 'e', lifecycle: { postStart: { httpGet: { host: 'h1' } } } }],
      },
    } as never),
  ).map(({ reason, detail }) => `${reason} (${detail})`);
  assert.deepEqual(all, [
    'forbidden AppArmor profiles (pod and annotation must not set AppArmor profile type to "zzz", "container.apparmor.security.beta.kubernetes.io/a="unconfined"")',
    'host namespaces (hostNetwork=true, hostIPC=true)',
    'hostPort (container "a" uses hostPorts 10, 9)',
    'probe or lifecycle host (containers "a", "e" use probe or lifecycle hosts "h1", "h2")',
    'privileged (container "b" must not set securityContext.privileged=true)',
    'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "t"; user may not be set; role may not be set)',
    'hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)',
    'allowPrivilegeEscalation != false (containers "b", "a", "e" must set securityContext.allowPrivilegeEscalation=false)',
    'unrestricted capabilities (containers "b", "a", "e" must set securityContext.capabilities.drop=["ALL"])',
    'restricted volume types (volumes "x", "y" use restricted volume types "gitRepo", "hostPath")',
    'runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)',
    'runAsUser=0 (pod and container "b" must not set runAsUser=0)',
    'seccompProfile (pod or containers "b", "a", "e" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
  ]);
});
