import { allContainers } from '@pilothouse/api/quota';
import { baselineChecks, isWindows } from './baseline.ts';
import type { Check, Finding, PodView } from './finding.ts';
import { containersWhere, containerText, plural, quoted } from './finding.ts';

const allowedVolumes = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
]);

const allowPrivilegeEscalation: Check = (pod) => {
  if (isWindows(pod)) return undefined;
  const bad = containersWhere(
    pod.spec,
    (container) => container.securityContext?.allowPrivilegeEscalation !== false,
  );
  if (bad.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containerText(bad)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

const capabilitiesRestricted: Check = (pod) => {
  if (isWindows(pod)) return undefined;
  const missing = containersWhere(
    pod.spec,
    (container) =>
      !((container.securityContext?.capabilities?.drop as string[] | undefined) ?? []).includes('ALL'),
  );
  const added = new Set<string>();
  const adding = containersWhere(pod.spec, (container) => {
    const own = ((container.securityContext?.capabilities?.add as string[] | undefined) ?? []).filter(
      (capability) => capability !== 'NET_BIND_SERVICE',
    );
    for (const capability of own) added.add(capability);
    return own.length > 0;
  });
  const details: string[] = [];
  if (missing.length > 0) {
    details.push(`${containerText(missing)} must set securityContext.capabilities.drop=["ALL"]`);
  }
  if (adding.length > 0) {
    details.push(
      `${containerText(adding)} must not include ${quoted([...added].sort())} in securityContext.capabilities.add`,
    );
  }
  return details.length === 0
    ? undefined
    : { reason: 'unrestricted capabilities', detail: details.join('; ') };
};

const restrictedVolumes: Check = ({ spec }) => {
  const bad: string[] = [];
  const types = new Set<string>();
  for (const volume of spec.volumes ?? []) {
    const type = Object.keys(volume).find((key) => key !== 'name' && volume[key] !== undefined);
    if (type === undefined || allowedVolumes.has(type)) continue;
    bad.push(volume.name);
    types.add(type);
  }
  if (bad.length === 0) return undefined;
  const typeText = `restricted volume ${plural('type', 'types', types.size)} ${quoted([...types].sort())}`;
  return {
    reason: 'restricted volume types',
    detail: `${plural('volume', 'volumes', bad.length)} ${quoted(bad)} ${plural('uses', 'use', bad.length)} ${typeText}`,
  };
};

const runAsNonRoot: Check = ({ spec }) => {
  if (spec['hostUsers'] === false) return undefined;
  const reason = 'runAsNonRoot != true';
  const podValue = spec.securityContext?.runAsNonRoot as boolean | undefined;
  const explicit = containersWhere(spec, (container) => container.securityContext?.runAsNonRoot === false);
  if (podValue === false || explicit.length > 0) {
    const subjects: string[] = [];
    if (podValue === false) subjects.push('pod');
    if (explicit.length > 0) subjects.push(containerText(explicit));
    return { reason, detail: `${subjects.join(' and ')} must not set securityContext.runAsNonRoot=false` };
  }
  if (podValue === true) return undefined;
  const missing = containersWhere(spec, (container) => container.securityContext?.runAsNonRoot !== true);
  if (missing.length === 0) return undefined;
  return { reason, detail: `pod or ${containerText(missing)} must set securityContext.runAsNonRoot=true` };
};

const runAsUser: Check = ({ spec }) => {
  if (spec['hostUsers'] === false) return undefined;
  const subjects: string[] = [];
  if (spec.securityContext?.runAsUser === 0) subjects.push('pod');
  const bad = containersWhere(spec, (container) => container.securityContext?.runAsUser === 0);
  if (bad.length > 0) subjects.push(containerText(bad));
  if (subjects.length === 0) return undefined;
  return { reason: 'runAsUser=0', detail: `${subjects.join(' and ')} must not set runAsUser=0` };
};

const seccompRestricted: Check = (pod) => {
  if (isWindows(pod)) return undefined;
  const { spec } = pod;
  const typeOf = (context: { seccompProfile?: { type?: string } } | undefined): string | undefined =>
    context?.seccompProfile?.type;
  const allowed = (type: string): boolean => type === 'RuntimeDefault' || type === 'Localhost';
  const types = new Set<string>();
  const subjects: string[] = [];
  const podType = typeOf(spec.securityContext);
  if (podType !== undefined && !allowed(podType)) {
    subjects.push('pod');
    types.add(podType);
  }
  const explicit = containersWhere(spec, (container) => {
    const type = typeOf(container.securityContext);
    if (type === undefined || allowed(type)) return false;
    types.add(type);
    return true;
  });
  if (explicit.length > 0) subjects.push(containerText(explicit));
  const reason = 'seccompProfile';
  if (subjects.length > 0) {
    const detail = `${subjects.join(' and ')} must not set securityContext.seccompProfile.type to ${quoted([...types].sort())}`;
    return { reason, detail };
  }
  if (podType !== undefined) return undefined;
  const missing = containersWhere(spec, (container) => typeOf(container.securityContext) === undefined);
  if (missing.length === 0) return undefined;
  return {
    reason,
    detail: `pod or ${containerText(missing)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  };
};

/** Baseline checks that a stricter one of the restricted level replaces. */
const replaced = new Set(['capabilities_baseline', 'seccompProfile_baseline', 'hostPathVolumes']);

const restrictedChecks: readonly Check[] = [
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  restrictedVolumes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
];

export type PodSecurityLevel = 'privileged' | 'baseline' | 'restricted';

/** What a level holds against a pod, in upstream's order. */
export function evaluatePod(level: PodSecurityLevel, pod: PodView): Finding[] {
  if (level === 'privileged' || (pod.spec.containers === undefined && allContainers(pod.spec).length === 0))
    return [];
  const checks =
    level === 'baseline'
      ? baselineChecks.map(([, check]) => check)
      : [
          ...baselineChecks.filter(([id]) => !replaced.has(id)).map(([, check]) => check),
          ...restrictedChecks,
        ];
  return checks.map((check) => check(pod)).filter((finding): finding is Finding => finding !== undefined);
}
