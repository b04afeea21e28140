import { goQuote } from '@pilothouse/apimachinery';
import { allContainers } from '@pilothouse/api/quota';
import type { Check, PodSecurityCheck } from './finding.ts';
import {
  containersWhere,
  containerText,
  hasOwnUsers,
  plural,
  quoted,
  settersText,
  unless,
} from './finding.ts';

const defaultCapabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
]);

/** Sysctls that are safe, by the release that first took them. */
const safeSysctls = {
  0: [
    'kernel.shm_rmid_forced',
    'net.ipv4.ip_local_port_range',
    'net.ipv4.tcp_syncookies',
    'net.ipv4.ping_group_range',
    'net.ipv4.ip_unprivileged_port_start',
  ],
  27: ['net.ipv4.ip_local_reserved_ports'],
  29: [
    'net.ipv4.tcp_keepalive_time',
    'net.ipv4.tcp_fin_timeout',
    'net.ipv4.tcp_keepalive_intvl',
    'net.ipv4.tcp_keepalive_probes',
  ],
  32: ['net.ipv4.tcp_rmem', 'net.ipv4.tcp_wmem'],
} as const;

const seLinuxTypes = ['', 'container_t', 'container_init_t', 'container_kvm_t'];
const seccompPodAnnotation = 'seccomp.security.alpha.kubernetes.io/pod';
const seccompContainerAnnotation = 'container.seccomp.security.alpha.kubernetes.io/';
const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

const appArmorProfile: Check = ({ metadata, spec }) => {
  const types = new Set<string>();
  const isBad = (context: { appArmorProfile?: { type?: string } } | undefined): boolean => {
    const type = context?.appArmorProfile?.type;
    if (type === undefined || type === 'RuntimeDefault' || type === 'Localhost') return false;
    types.add(type);
    return true;
  };
  const byPod = isBad(spec.securityContext);
  const setters = settersText(
    byPod,
    containersWhere(spec, (container) => isBad(container.securityContext)),
  );
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(([key, value]) => key.startsWith(appArmorAnnotation) && !allowedAppArmor(value))
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .sort();
  const subjects = [
    ...(setters === '' ? [] : [setters]),
    ...(annotations.length > 0 ? [plural('annotation', 'annotations', annotations.length)] : []),
  ];
  if (subjects.length === 0) return undefined;
  const values = [...[...types].sort(), ...annotations];
  return {
    reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', values.length),
    detail: `${subjects.join(' and ')} must not set AppArmor profile type to ${quoted(values)}`,
  };
};

function allowedAppArmor(profile: string): boolean {
  return profile === '' || profile === 'runtime/default' || profile.startsWith('localhost/');
}

const capabilitiesBaseline: Check = ({ spec }) => {
  const forbidden = new Set<string>();
  const bad = containersWhere(spec, (container) => {
    const added = (container.securityContext?.capabilities?.add as string[] | undefined) ?? [];
    const wrong = added.filter((capability) => !defaultCapabilities.has(capability));
    for (const capability of wrong) forbidden.add(capability);
    return wrong.length > 0;
  });
  if (bad.length === 0) return undefined;
  return {
    reason: 'non-default capabilities',
    detail: `${containerText(bad)} must not include ${quoted([...forbidden].sort())} in securityContext.capabilities.add`,
  };
};

const hostNamespaces: Check = ({ spec }) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field] === true);
  if (used.length === 0) return undefined;
  return { reason: 'host namespaces', detail: used.map((field) => `${field}=true`).join(', ') };
};

const hostPathVolumes: Check = ({ spec }) => {
  const bad = (spec.volumes ?? [])
    .filter((volume) => volume['hostPath'] !== undefined)
    .map((each) => each.name);
  if (bad.length === 0) return undefined;
  return {
    reason: 'hostPath volumes',
    detail: `${plural('volume', 'volumes', bad.length)} ${quoted(bad)}`,
  };
};

const hostPorts: Check = ({ spec }) => {
  const ports = new Set<number>();
  const bad = containersWhere(spec, (container) => {
    const own = (container.ports ?? []).map((port) => port.hostPort ?? 0).filter((port) => port !== 0);
    for (const port of own) ports.add(port);
    return own.length > 0;
  });
  if (bad.length === 0) return undefined;
  const list = [...ports].map(String).sort();
  return {
    reason: 'hostPort',
    detail: `${containerText(bad)} ${plural('uses', 'use', bad.length)} ${plural('hostPort', 'hostPorts', list.length)} ${list.join(', ')}`,
  };
};

const hostProbes: Check = ({ spec }) => {
  const hosts = new Set<string>();
  const hostsOf = (
    handler: { httpGet?: { host?: string }; tcpSocket?: { host?: string } } | undefined,
  ): string[] =>
    [handler?.httpGet?.host, handler?.tcpSocket?.host].filter(
      (host): host is string => host !== undefined && host !== '',
    );
  const found = containersWhere(spec, (container) => {
    const own = [
      ...hostsOf(container['livenessProbe']),
      ...hostsOf(container['readinessProbe']),
      ...hostsOf(container['startupProbe']),
      ...hostsOf(container['lifecycle']?.postStart),
      ...hostsOf(container['lifecycle']?.preStop),
    ];
    for (const host of own) hosts.add(host);
    return own.length > 0;
  });
  const bad = [...new Set(found)].sort();
  if (bad.length === 0) return undefined;
  return {
    reason: 'probe or lifecycle host',
    detail: `${containerText(bad)} ${plural('uses', 'use', bad.length)} probe or lifecycle ${plural('host', 'hosts', hosts.size)} ${quoted([...hosts].sort())}`,
  };
};

const privileged: Check = ({ spec }) => {
  const bad = containersWhere(spec, (container) => container.securityContext?.privileged === true);
  if (bad.length === 0) return undefined;
  return {
    reason: 'privileged',
    detail: `${containerText(bad)} must not set securityContext.privileged=true`,
  };
};

export const procMount: Check = ({ spec }) => {
  const values = new Set<string>();
  const bad = containersWhere(spec, (container) => {
    const value = container.securityContext?.procMount as string | undefined;
    if (value === undefined || value === '' || value === 'Default') return false;
    values.add(value);
    return true;
  });
  if (bad.length === 0) return undefined;
  return {
    reason: 'procMount',
    detail: `${containerText(bad)} must not set securityContext.procMount to ${quoted([...values].sort())}`,
  };
};

const seLinuxOptions =
  (allowed: readonly string[]): Check =>
  ({ spec }) => {
    const types = new Set<string>();
    let user = false;
    let role = false;
    const isBad = (context: { seLinuxOptions?: Record<string, string> } | undefined): boolean => {
      const options = context?.seLinuxOptions;
      if (options === undefined) return false;
      let bad = false;
      const type = options['type'] ?? '';
      if (!allowed.includes(type)) {
        types.add(type);
        bad = true;
      }
      if ((options['user'] ?? '') !== '') bad = user = true;
      if ((options['role'] ?? '') !== '') bad = role = true;
      return bad;
    };
    const byPod = isBad(spec.securityContext);
    const setters = settersText(
      byPod,
      containersWhere(spec, (container) => isBad(container.securityContext)),
    );
    if (setters === '') return undefined;
    const faults = [
      ...(types.size > 0 ? [`${plural('type', 'types', types.size)} ${quoted([...types].sort())}`] : []),
      ...(user ? ['user may not be set'] : []),
      ...(role ? ['role may not be set'] : []),
    ];
    return {
      reason: 'seLinuxOptions',
      detail: `${setters} set forbidden securityContext.seLinuxOptions: ${faults.join('; ')}`,
    };
  };

/** Before there were fields for it, annotations named the profile. */
const seccompAnnotations: Check = ({ metadata, spec }) => {
  const forbidden = new Set<string>();
  const look = (key: string): void => {
    const value = metadata.annotations?.[key];
    if (value === undefined || value === 'runtime/default' || value === 'docker/default') return;
    if (!value.startsWith('localhost/')) forbidden.add(`${key}=${goQuote(value)}`);
  };
  look(seccompPodAnnotation);
  for (const { name } of allContainers(spec)) look(`${seccompContainerAnnotation}${name}`);
  if (forbidden.size === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `forbidden ${plural('annotation', 'annotations', forbidden.size)} ${[...forbidden].sort().join(', ')}`,
  };
};

const seccompBaseline: Check = ({ spec }) => {
  const types = new Set<string>();
  const isBad = (context: { seccompProfile?: { type?: string } } | undefined): boolean => {
    const type = context?.seccompProfile?.type;
    if (type === undefined || type === 'RuntimeDefault' || type === 'Localhost') return false;
    types.add(type);
    return true;
  };
  const byPod = isBad(spec.securityContext);
  const setters = settersText(
    byPod,
    containersWhere(spec, (container) => isBad(container.securityContext)),
  );
  if (setters === '') return undefined;
  return {
    reason: 'seccompProfile',
    detail: `${setters} must not set securityContext.seccompProfile.type to ${quoted([...types].sort())}`,
  };
};

function sysctls(minor: number): Check {
  const safe = new Set<string>(
    Object.entries(safeSysctls)
      .filter(([since]) => Number(since) <= minor)
      .flatMap(([, names]) => names),
  );
  return ({ spec }) => {
    const names = ((spec.securityContext?.sysctls as { name: string }[] | undefined) ?? [])
      .map((sysctl) => sysctl.name)
      .filter((name) => !safe.has(name));
    return names.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: names.join(', ') };
  };
}

const windowsHostProcess: Check = ({ spec }) => {
  const isBad = (context: { windowsOptions?: { hostProcess?: boolean } } | undefined): boolean =>
    context?.windowsOptions?.hostProcess === true;
  const setters = settersText(
    isBad(spec.securityContext),
    containersWhere(spec, (container) => isBad(container.securityContext)),
  );
  if (setters === '') return undefined;
  return {
    reason: 'hostProcess',
    detail: `${setters} must not set securityContext.windowsOptions.hostProcess=true`,
  };
};

/** Checks of the baseline level in the order of findings, and as of which minor release they look at what. */
export const baselineChecks: readonly PodSecurityCheck[] = [
  { id: 'appArmorProfile', versions: [{ from: 0, check: appArmorProfile }] },
  { id: 'capabilities_baseline', versions: [{ from: 0, check: capabilitiesBaseline }] },
  { id: 'hostNamespaces', versions: [{ from: 0, check: hostNamespaces }] },
  { id: 'hostPathVolumes', versions: [{ from: 0, check: hostPathVolumes }] },
  { id: 'hostPorts', versions: [{ from: 0, check: hostPorts }] },
  { id: 'hostProbesAndHostLifecycle', versions: [{ from: 34, check: hostProbes }] },
  { id: 'privileged', versions: [{ from: 0, check: privileged }] },
  {
    id: 'procMount',
    versions: [
      { from: 0, check: procMount },
      { from: 35, check: unless(hasOwnUsers, procMount) },
    ],
  },
  {
    id: 'seLinuxOptions',
    versions: [
      { from: 0, check: seLinuxOptions(seLinuxTypes) },
      { from: 31, check: seLinuxOptions([...seLinuxTypes, 'container_engine_t']) },
    ],
  },
  {
    id: 'seccompProfile_baseline',
    versions: [
      { from: 0, check: seccompAnnotations },
      { from: 19, check: seccompBaseline },
    ],
  },
  {
    id: 'sysctls',
    versions: [
      { from: 0, check: sysctls(0) },
      { from: 27, check: sysctls(27) },
      { from: 29, check: sysctls(29) },
      { from: 32, check: sysctls(32) },
    ],
  },
  { id: 'windowsHostProcess', versions: [{ from: 0, check: windowsHostProcess }] },
];
