import { goQuote } from '@pilothouse/apimachinery';
import type { Check, PodView } from './finding.ts';
import { containersWhere, containerText, plural, quoted } from './finding.ts';

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

const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
]);

const seLinuxTypes = new Set([
  '',
  'container_t',
  'container_init_t',
  'container_kvm_t',
  'container_engine_t',
]);
const appArmorAnnotation = 'container.apparmor.security.beta.kubernetes.io/';

const appArmorProfile: Check = ({ metadata, spec }) => {
  const subjects: string[] = [];
  const values = new Set<string>();
  const isBad = (context: { appArmorProfile?: { type?: string } } | undefined): boolean => {
    const type = context?.appArmorProfile?.type;
    if (type === undefined || type === 'RuntimeDefault' || type === 'Localhost') return false;
    values.add(`"${type}"`);
    return true;
  };
  if (isBad(spec.securityContext)) subjects.push('pod');
  const bad = containersWhere(spec, (container) => isBad(container.securityContext));
  if (bad.length > 0) subjects.push(containerText(bad));
  // The inner quotes stay as they are: so upstream words it.
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(([key, value]) => key.startsWith(appArmorAnnotation) && !allowedAppArmor(value))
    .map(([key, value]) => `"${key}=${goQuote(value)}"`);
  if (annotations.length > 0) subjects.push(plural('annotation', 'annotations', annotations.length));
  for (const annotation of annotations) values.add(annotation);
  if (subjects.length === 0) return undefined;
  return {
    reason: plural('forbidden AppArmor profile', 'forbidden AppArmor profiles', values.size),
    detail: `${subjects.join(' and ')} must not set AppArmor profile type to ${[...values].sort().join(', ')}`,
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
  const bad = containersWhere(spec, (container) => {
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

const procMount: Check = ({ spec }) => {
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

const seLinuxOptions: Check = ({ spec }) => {
  const types = new Set<string>();
  let user = false;
  let role = false;
  const isBad = (context: { seLinuxOptions?: Record<string, string> } | undefined): boolean => {
    const options = context?.seLinuxOptions;
    if (options === undefined) return false;
    let bad = false;
    const type = options['type'] ?? '';
    if (!seLinuxTypes.has(type)) {
      types.add(type);
      bad = true;
    }
    if ((options['user'] ?? '') !== '') bad = user = true;
    if ((options['role'] ?? '') !== '') bad = role = true;
    return bad;
  };
  const subjects: string[] = [];
  if (isBad(spec.securityContext)) subjects.push('pod');
  const bad = containersWhere(spec, (container) => isBad(container.securityContext));
  if (bad.length > 0) subjects.push(containerText(bad));
  if (subjects.length === 0) return undefined;
  const faults: string[] = [];
  if (types.size > 0) {
    faults.push(`${plural('type', 'types', types.size)} ${quoted([...types].sort())}`);
  }
  if (user) faults.push('user may not be set');
  if (role) faults.push('role may not be set');
  return {
    reason: 'seLinuxOptions',
    detail: `${subjects.join(' and ')} set forbidden securityContext.seLinuxOptions: ${faults.join('; ')}`,
  };
};

const seccompBaseline: Check = ({ spec }) => {
  const isBad = (context: { seccompProfile?: { type?: string } } | undefined): boolean => {
    const type = context?.seccompProfile?.type;
    return type !== undefined && type !== 'RuntimeDefault' && type !== 'Localhost';
  };
  const types = new Set<string>();
  const subjects: string[] = [];
  if (isBad(spec.securityContext)) {
    subjects.push('pod');
    types.add(spec.securityContext.seccompProfile.type as string);
  }
  const bad = containersWhere(spec, (container) => {
    if (!isBad(container.securityContext)) return false;
    types.add(container.securityContext.seccompProfile.type as string);
    return true;
  });
  if (bad.length > 0) subjects.push(containerText(bad));
  if (subjects.length === 0) return undefined;
  return {
    reason: 'seccompProfile',
    detail: `${subjects.join(' and ')} must not set securityContext.seccompProfile.type to ${quoted([...types].sort())}`,
  };
};

const sysctls: Check = ({ spec }) => {
  const names = ((spec.securityContext?.sysctls as { name: string }[] | undefined) ?? [])
    .map((sysctl) => sysctl.name)
    .filter((name) => !safeSysctls.has(name));
  return names.length === 0 ? undefined : { reason: 'forbidden sysctls', detail: names.join(', ') };
};

const windowsHostProcess: Check = ({ spec }) => {
  const isBad = (context: { windowsOptions?: { hostProcess?: boolean } } | undefined): boolean =>
    context?.windowsOptions?.hostProcess === true;
  const subjects: string[] = [];
  if (isBad(spec.securityContext)) subjects.push('pod');
  const bad = containersWhere(spec, (container) => isBad(container.securityContext));
  if (bad.length > 0) subjects.push(containerText(bad));
  if (subjects.length === 0) return undefined;
  return {
    reason: 'hostProcess',
    detail: `${subjects.join(' and ')} must not set securityContext.windowsOptions.hostProcess=true`,
  };
};

/** Checks of the baseline level by id, in the order of findings. The id is what a restricted check replaces. */
export const baselineChecks: readonly (readonly [id: string, check: Check])[] = [
  ['appArmorProfile', appArmorProfile],
  ['capabilities_baseline', capabilitiesBaseline],
  ['hostNamespaces', hostNamespaces],
  ['hostPathVolumes', hostPathVolumes],
  ['hostPorts', hostPorts],
  ['hostProbesAndHostLifecycle', hostProbes],
  ['privileged', privileged],
  ['procMount', procMount],
  ['seLinuxOptions', seLinuxOptions],
  ['seccompProfile_baseline', seccompBaseline],
  ['sysctls', sysctls],
  ['windowsHostProcess', windowsHostProcess],
];

/** Whether a pod runs on Windows, where some Linux fields mean nothing. */
export function isWindows({ spec }: PodView): boolean {
  return (spec['os'] as { name?: string } | undefined)?.name === 'windows';
}
