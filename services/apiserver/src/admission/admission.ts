import { admissionChain } from './chain.ts';
import type { AdmissionConfig, AdmissionDependencies } from './config.ts';
import type { AdmissionChain, AdmissionPlugin } from './interface.ts';
import { mutatingPolicies } from './policies/mutating-policies.ts';
import { validatingPolicies } from './policies/validating-policies.ts';
import {
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  clusterTrustBundleAttest,
} from './plugins/certificates.ts';
import { defaultIngressClass } from './plugins/default-ingress-class.ts';
import { defaultTolerationSeconds } from './plugins/default-toleration-seconds.ts';
import { eventRateLimit } from './plugins/event-rate-limit.ts';
import { imagePolicyWebhook } from './plugins/image-policy.ts';
import { limitRanger } from './plugins/limit-ranger.ts';
import { namespaceLifecycle } from './plugins/namespace-lifecycle.ts';
import { podTopologyLabels, taintNodesByCondition } from './plugins/node-plugins.ts';
import { nodeRestriction } from './plugins/node-restriction.ts';
import { ownerReferencesPermission } from './plugins/owner-references.ts';
import { podNodeSelector } from './plugins/pod-node-selector.ts';
import { podResizeValidator } from './plugins/pod-resize.ts';
import { podSecurity } from './plugins/pod-security.ts';
import { podTolerationRestriction } from './plugins/pod-toleration-restriction.ts';
import { priorityPlugin } from './plugins/priority.ts';
import { resourceQuota } from './plugins/resource-quota.ts';
import { runtimeClass } from './plugins/runtime-class.ts';
import { serviceAccountPlugin } from './plugins/service-account.ts';
import {
  alwaysAdmit,
  alwaysDeny,
  alwaysPullImages,
  denyServiceExternalIps,
  extendedResourceToleration,
  limitPodHardAntiAffinityTopology,
  namespaceAutoProvision,
  namespaceExists,
} from './plugins/simple.ts';
import {
  defaultStorageClass,
  persistentVolumeClaimResize,
  storageObjectInUseProtection,
} from './plugins/storage-plugins.ts';
import { mutatingWebhooks, validatingWebhooks } from './webhooks/webhook-plugins.ts';

type Factory = (dependencies: AdmissionDependencies) => AdmissionPlugin;

/**
 * Every plugin name of 1.36 in the order they run. `undefined`: belongs to an alpha feature that this server does not have, so that there
 * is nothing to do; or (NodeDeclaredFeatureValidator) is not built.
 */
const plugins: readonly (readonly [name: string, factory: Factory | undefined])[] = [
  ['AlwaysAdmit', alwaysAdmit],
  ['NamespaceAutoProvision', namespaceAutoProvision],
  ['NamespaceLifecycle', namespaceLifecycle],
  ['NamespaceExists', namespaceExists],
  ['LimitPodHardAntiAffinityTopology', limitPodHardAntiAffinityTopology],
  ['LimitRanger', limitRanger],
  ['ServiceAccount', serviceAccountPlugin],
  ['NodeRestriction', nodeRestriction],
  ['TaintNodesByCondition', taintNodesByCondition],
  ['AlwaysPullImages', alwaysPullImages],
  ['ImagePolicyWebhook', imagePolicyWebhook],
  ['PodSecurity', podSecurity],
  ['PodNodeSelector', podNodeSelector],
  ['Priority', priorityPlugin],
  ['DefaultTolerationSeconds', defaultTolerationSeconds],
  ['PodTolerationRestriction', podTolerationRestriction],
  ['EventRateLimit', eventRateLimit],
  ['ExtendedResourceToleration', extendedResourceToleration],
  ['DefaultStorageClass', defaultStorageClass],
  ['StorageObjectInUseProtection', storageObjectInUseProtection],
  ['PodGroupProtection', undefined],
  ['OwnerReferencesPermissionEnforcement', ownerReferencesPermission],
  ['PersistentVolumeClaimResize', persistentVolumeClaimResize],
  ['RuntimeClass', runtimeClass],
  ['CertificateApproval', certificateApproval],
  ['CertificateSigning', certificateSigning],
  ['ClusterTrustBundleAttest', clusterTrustBundleAttest],
  ['CertificateSubjectRestriction', certificateSubjectRestriction],
  ['DefaultIngressClass', defaultIngressClass],
  ['DenyServiceExternalIPs', denyServiceExternalIps],
  ['PodTopologyLabels', podTopologyLabels],
  ['PodGroupWorkloadExists', undefined],
  ['NodeDeclaredFeatureValidator', undefined],
  ['JobValidation', undefined],
  ['PodResizeValidator', podResizeValidator],
  ['MutatingAdmissionPolicy', mutatingPolicies],
  ['MutatingAdmissionWebhook', mutatingWebhooks],
  ['ValidatingAdmissionPolicy', validatingPolicies],
  ['ValidatingAdmissionWebhook', validatingWebhooks],
  ['ResourceQuota', resourceQuota],
  ['AlwaysDeny', alwaysDeny],
];

/** Every name that the flags take. */
export const admissionPluginNames: ReadonlySet<string> = new Set(plugins.map(([name]) => name));

/** On without any flag. */
export const defaultAdmissionPlugins: ReadonlySet<string> = new Set([
  'NamespaceLifecycle',
  'LimitRanger',
  'ServiceAccount',
  'TaintNodesByCondition',
  'PodSecurity',
  'Priority',
  'DefaultTolerationSeconds',
  'DefaultStorageClass',
  'StorageObjectInUseProtection',
  'PodGroupProtection',
  'PersistentVolumeClaimResize',
  'RuntimeClass',
  'CertificateApproval',
  'CertificateSigning',
  'ClusterTrustBundleAttest',
  'CertificateSubjectRestriction',
  'DefaultIngressClass',
  'PodTopologyLabels',
  'PodGroupWorkloadExists',
  'NodeDeclaredFeatureValidator',
  'JobValidation',
  'PodResizeValidator',
  'MutatingAdmissionPolicy',
  'MutatingAdmissionWebhook',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionWebhook',
  'ResourceQuota',
]);

/** The names that a configuration turns on, in the order they run. Throws an Error on a name that is unknown, or both enabled and disabled. */
export function enabledAdmissionPlugins(config: AdmissionConfig): string[] {
  const enable = new Set(config.enable ?? []);
  const disable = new Set(config.disable ?? []);
  for (const [flag, names] of [
    ['enable-admission-plugins', enable],
    ['disable-admission-plugins', disable],
  ] as const) {
    for (const name of names) {
      if (!plugins.some(([known]) => known === name)) throw new Error(`${flag} plugin "${name}" is unknown`);
    }
  }
  const both = [...enable].filter((name) => disable.has(name));
  if (both.length > 0) {
    throw new Error(
      `[${both.sort().join(' ')}] in enable-admission-plugins and disable-admission-plugins overlapped`,
    );
  }
  return plugins
    .map(([name]) => name)
    .filter((name) => enable.has(name) || (defaultAdmissionPlugins.has(name) && !disable.has(name)));
}

/**
 * The chain of the enabled plugins. Throws an Error when a flag asks for one that is not built; default plugins from outside
 * that were not given are left out.
 */
export function createAdmission(
  config: AdmissionConfig,
  dependencies: AdmissionDependencies,
): AdmissionChain {
  const given = new Map((dependencies.plugins ?? []).map((plugin) => [plugin.name, plugin]));
  const chosen: AdmissionPlugin[] = [];
  for (const name of enabledAdmissionPlugins(config)) {
    const factory = plugins.find(([known]) => known === name)?.[1];
    const plugin = given.get(name) ?? factory?.(dependencies);
    if (plugin !== undefined) chosen.push(plugin);
    else if (config.enable?.includes(name) === true && !defaultAdmissionPlugins.has(name)) {
      throw new Error(`Cannot enable admission plugin "${name}": it is not available in this server`);
    }
  }
  return admissionChain(chosen);
}
