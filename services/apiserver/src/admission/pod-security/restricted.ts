import { procMount } from './baseline.ts';
import type { Check, PodSecurityCheck } from './finding.ts';
import {
  containersWhere,
  containerText,
  hasOwnUsers,
  isWindows,
  plural,
  quoted,
  settersText,
  unless,
} from './finding.ts';

const allowedVolumes: readonly string[] = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
  'image',
];

/** Other kinds of volumes that findings name. */
const otherVolumes: readonly string[] = [
  'hostPath',
  'gcePersistentDisk',
  'awsElasticBlockStore',
  'gitRepo',
  'nfs',
  'iscsi',
  'glusterfs',
  'rbd',
  'flexVolume',
  'cinder',
  'cephfs',
  'flocker',
  'fc',
  'azureFile',
  'vsphereVolume',
  'quobyte',
  'azureDisk',
  'photonPersistentDisk',
  'portworxVolume',
  'scaleIO',
  'storageos',
];

const allowPrivilegeEscalation: Check = ({ spec }) => {
  const bad = containersWhere(
    spec,
    (container) => container.securityContext?.allowPrivilegeEscalation !== false,
  );
  if (bad.length === 0) return undefined;
  return {
    reason: 'allowPrivilegeEscalation != false',
    detail: `${containerText(bad)} must set securityContext.allowPrivilegeEscalation=false`,
  };
};

const capabilitiesRestricted: Check = ({ spec }) => {
  const missing = containersWhere(
    spec,
    (container) =>
      !((container.securityContext?.capabilities?.drop as string[] | undefined) ?? []).includes('ALL'),
  );
  const added = new Set<string>();
  const adding = containersWhere(spec, (container) => {
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
    if (allowedVolumes.some((type) => volume[type] !== undefined)) continue;
    bad.push(volume.name);
    types.add(otherVolumes.find((type) => volume[type] !== undefined) ?? 'unknown');
  }
  if (bad.length === 0) return undefined;
  const typeText = `restricted volume ${plural('type', 'types', types.size)} ${quoted([...types].sort())}`;
  return {
    reason: 'restricted volume types',
    detail: `${plural('volume', 'volumes', bad.length)} ${quoted(bad)} ${plural('uses', 'use', bad.length)} ${typeText}`,
  };
};

const runAsNonRoot: Check = ({ spec }) => {
  const reason = 'runAsNonRoot != true';
  const podValue = spec.securityContext?.runAsNonRoot as boolean | undefined;
  const explicit = containersWhere(spec, (container) => container.securityContext?.runAsNonRoot === false);
  const setters = settersText(podValue === false, explicit);
  if (setters !== '') {
    return { reason, detail: `${setters} must not set securityContext.runAsNonRoot=false` };
  }
  if (podValue === true) return undefined;
  const missing = containersWhere(spec, (container) => container.securityContext?.runAsNonRoot !== true);
  if (missing.length === 0) return undefined;
  return { reason, detail: `pod or ${containerText(missing)} must set securityContext.runAsNonRoot=true` };
};

const runAsUser: Check = ({ spec }) => {
  const setters = settersText(
    spec.securityContext?.runAsUser === 0,
    containersWhere(spec, (container) => container.securityContext?.runAsUser === 0),
  );
  if (setters === '') return undefined;
  return { reason: 'runAsUser=0', detail: `${setters} must not set runAsUser=0` };
};

const seccompRestricted: Check = ({ spec }) => {
  const typeOf = (context: { seccompProfile?: { type?: string } } | undefined): string | undefined =>
    context?.seccompProfile?.type;
  const allowed = (type: string): boolean => type === 'RuntimeDefault' || type === 'Localhost';
  const types = new Set<string>();
  const podType = typeOf(spec.securityContext);
  const byPod = podType !== undefined && !allowed(podType);
  if (byPod) types.add(podType);
  const explicit = containersWhere(spec, (container) => {
    const type = typeOf(container.securityContext);
    if (type === undefined || allowed(type)) return false;
    types.add(type);
    return true;
  });
  const setters = settersText(byPod, explicit);
  const reason = 'seccompProfile';
  if (setters !== '') {
    const detail = `${setters} must not set securityContext.seccompProfile.type to ${quoted([...types].sort())}`;
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

/** Checks of the restricted level in the order of findings; they come after those of the baseline that nothing here replaces. */
export const restrictedChecks: readonly PodSecurityCheck[] = [
  {
    id: 'allowPrivilegeEscalation',
    versions: [
      { from: 8, check: allowPrivilegeEscalation },
      { from: 25, check: unless(isWindows, allowPrivilegeEscalation) },
    ],
  },
  {
    id: 'capabilities_restricted',
    versions: [
      { from: 22, check: capabilitiesRestricted, replaces: ['capabilities_baseline'] },
      { from: 25, check: unless(isWindows, capabilitiesRestricted), replaces: ['capabilities_baseline'] },
    ],
  },
  // Since the baseline lets pods with users of their own choose, this level goes on asking.
  { id: 'procMount_restricted', versions: [{ from: 35, check: procMount, replaces: ['procMount'] }] },
  {
    id: 'restrictedVolumes',
    versions: [{ from: 0, check: restrictedVolumes, replaces: ['hostPathVolumes'] }],
  },
  {
    id: 'runAsNonRoot',
    versions: [
      { from: 0, check: runAsNonRoot },
      { from: 35, check: unless(hasOwnUsers, runAsNonRoot) },
    ],
  },
  {
    id: 'runAsUser',
    versions: [
      { from: 23, check: runAsUser },
      { from: 35, check: unless(hasOwnUsers, runAsUser) },
    ],
  },
  {
    id: 'seccompProfile_restricted',
    versions: [
      { from: 19, check: seccompRestricted, replaces: ['seccompProfile_baseline'] },
      { from: 25, check: unless(isWindows, seccompRestricted), replaces: ['seccompProfile_baseline'] },
    ],
  },
];
