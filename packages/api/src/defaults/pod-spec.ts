import { quantityOf } from '../validation/quantities.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, text } from '../validation/values.ts';
import { ensure, setDefault, setZeroDefault } from './set.ts';

/** Longer paths are no references at all; the registry does not count, and images without one are in `library/`. */
const imagePathMax = 255;

function imagePath(name: string): string {
  const slash = name.indexOf('/');
  if (slash < 0) return `library/${name}`;
  return /[.:A-Z]|^localhost$/.test(name.slice(0, slash)) ? name.slice(slash + 1) : name;
}

/** `latest`, or no tag and no digest, is pulled always. */
export function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  const match =
    /^(?:(?:[a-zA-Z0-9](?:[-a-zA-Z0-9.]*[a-zA-Z0-9])?(?::[0-9]+)?|\[[a-fA-F0-9:]+\](?::[0-9]+)?)\/)?[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*(?::([\w][\w.-]{0,127}))?(@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$/.exec(
      image,
    );
  if (match === null) return 'IfNotPresent';
  const [, tag, digest] = match;
  const rest = (tag === undefined ? 0 : tag.length + 1) + (digest?.length ?? 0);
  if (image.length > imagePathMax && imagePath(image.slice(0, image.length - rest)).length > imagePathMax)
    return 'IfNotPresent';
  if (tag === undefined) return digest === undefined ? 'Always' : 'IfNotPresent';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultHttpGet(get: Json | null | undefined): void {
  if (!isSet(get)) return;
  setZeroDefault(get, 'path', '/');
  setZeroDefault(get, 'scheme', 'HTTP');
  setDefault(get, 'port', 0);
}

function defaultProbe(probe: Json | null | undefined): void {
  if (!isSet(probe)) return;
  setZeroDefault(probe, 'timeoutSeconds', 1);
  setZeroDefault(probe, 'periodSeconds', 10);
  setZeroDefault(probe, 'successThreshold', 1);
  setZeroDefault(probe, 'failureThreshold', 3);
  defaultHttpGet(probe['httpGet']);
  if (isSet(probe['grpc'])) setDefault(probe['grpc'] as Json, 'service', '');
}

/** Requests and limits are kept in thousandths at the finest. */
export function roundResourceList(resources: Json | null | undefined): void {
  if (!isSet(resources)) return;
  for (const [name, value] of Object.entries(resources)) {
    const quantity = quantityOf(value);
    const rounded = quantity.roundUpToMilli();
    if (rounded !== quantity) resources[name] = rounded.toString();
  }
}

function defaultFieldRef(ref: Json | null | undefined): void {
  if (isSet(ref)) setZeroDefault(ref, 'apiVersion', 'v1');
}

function defaultContainer(container: Json): void {
  setZeroDefault(container, 'imagePullPolicy', defaultPullPolicy(text(container['image'])));
  setZeroDefault(container, 'terminationMessagePath', '/dev/termination-log');
  setZeroDefault(container, 'terminationMessagePolicy', 'File');
  for (const port of list(container['ports']) as Json[]) setZeroDefault(port, 'protocol', 'TCP');
  for (const variable of list(container['env']) as Json[]) {
    defaultFieldRef(variable['valueFrom']?.fieldRef);
    const file = variable['valueFrom']?.fileKeyRef as Json | null | undefined;
    if (isSet(file)) setDefault(file, 'optional', false);
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) defaultProbe(container[name]);
  for (const name of ['postStart', 'preStop']) defaultHttpGet(container['lifecycle']?.[name]?.httpGet);
  const resources = container['resources'] as Json | null | undefined;
  roundResourceList(resources?.['limits']);
  roundResourceList(resources?.['requests']);
}

function defaultProjection(source: Json): void {
  if (isSet(source['serviceAccountToken']))
    setDefault(source['serviceAccountToken'] as Json, 'expirationSeconds', 3600);
  for (const item of list(source['downwardAPI']?.items) as Json[]) defaultFieldRef(item['fieldRef']);
}

const defaultMode = 0o644;

function defaultVolume(volume: Json): void {
  const sources = Object.keys(volume).filter((name) => name !== 'name' && isSet(volume[name]));
  if (sources.length === 0) volume['emptyDir'] = {};
  const with_ = (name: string, fill: (source: Json) => void): void => {
    if (isSet(volume[name])) fill(volume[name] as Json);
  };
  with_('secret', (source) => setDefault(source, 'defaultMode', defaultMode));
  with_('configMap', (source) => setDefault(source, 'defaultMode', defaultMode));
  with_('downwardAPI', (source) => {
    setDefault(source, 'defaultMode', defaultMode);
    for (const item of list(source['items']) as Json[]) defaultFieldRef(item['fieldRef']);
  });
  with_('projected', (source) => {
    setDefault(source, 'defaultMode', defaultMode);
    for (const each of list(source['sources']) as Json[]) defaultProjection(each);
  });
  with_('hostPath', (source) => setDefault(source, 'type', ''));
  with_('iscsi', (source) => setZeroDefault(source, 'iscsiInterface', 'default'));
  with_('rbd', defaultRbd);
  with_('azureDisk', defaultAzureDisk);
  with_('scaleIO', defaultScaleIo);
  with_('ephemeral', (source) => {
    const template = source['volumeClaimTemplate'] as Json | null | undefined;
    if (isSet(template)) setDefault(ensure(template, 'spec'), 'volumeMode', 'Filesystem');
  });
  with_('image', (source) =>
    setZeroDefault(source, 'pullPolicy', defaultPullPolicy(text(source['reference']))),
  );
}

export function defaultRbd(source: Json): void {
  setZeroDefault(source, 'pool', 'rbd');
  setZeroDefault(source, 'user', 'admin');
  setZeroDefault(source, 'keyring', '/etc/ceph/keyring');
}

export function defaultAzureDisk(source: Json): void {
  setDefault(source, 'cachingMode', 'ReadWrite');
  setDefault(source, 'kind', 'Shared');
  setDefault(source, 'fsType', 'ext4');
  setDefault(source, 'readOnly', false);
}

export function defaultScaleIo(source: Json): void {
  setZeroDefault(source, 'storageMode', 'ThinProvisioned');
  setZeroDefault(source, 'fsType', 'xfs');
}

/** Defaults that pods and templates share. */
export function defaultPodSpec(spec: Json): void {
  setZeroDefault(spec, 'dnsPolicy', 'ClusterFirst');
  setZeroDefault(spec, 'restartPolicy', 'Always');
  setDefault(spec, 'securityContext', {});
  setDefault(spec, 'terminationGracePeriodSeconds', 30);
  setZeroDefault(spec, 'schedulerName', 'default-scheduler');
  // The old name stays readable for old clients; both always agree.
  if (text(spec['serviceAccountName']) === '' && text(spec['serviceAccount']) !== '')
    spec['serviceAccountName'] = spec['serviceAccount'] as unknown;
  if (text(spec['serviceAccountName']) !== '') spec['serviceAccount'] = spec['serviceAccountName'] as unknown;
  for (const volume of list(spec['volumes']) as Json[]) defaultVolume(volume);
  for (const name of ['containers', 'initContainers', 'ephemeralContainers'])
    for (const container of list(spec[name]) as Json[]) defaultContainer(container);
  roundResourceList(spec['overhead']);
  roundResourceList(spec['resources']?.limits);
  roundResourceList(spec['resources']?.requests);
  if (spec['hostNetwork'] === true) defaultHostPorts(spec);
}

/** On the host's network a container's port is the host's. */
function defaultHostPorts(spec: Json): void {
  for (const name of ['containers', 'initContainers'])
    for (const container of list(spec[name]) as Json[])
      for (const port of list(container['ports']) as Json[])
        setZeroDefault(port, 'hostPort', port['containerPort'] as unknown);
}

/** Defaults that only pods get. */
export function defaultPod(pod: Json): void {
  const spec = ensure(pod, 'spec');
  defaultPodSpec(spec);
  setDefault(spec, 'enableServiceLinks', true);
  for (const name of ['containers', 'initContainers'])
    for (const container of list(spec[name]) as Json[]) requestsFromLimits(container);
  defaultPodLevelRequests(spec);
  ensure(pod, 'status');
}

function requestsFromLimits(container: Json): void {
  const limits = container['resources']?.limits as Json | null | undefined;
  if (!isSet(limits)) return;
  const names = Object.keys(limits);
  if (names.length === 0) return;
  const requests = ensure(container['resources'] as Json, 'requests');
  for (const name of names) setDefault(requests, name, limits[name]);
}

/** With pod-level resources a missing pod request is the containers' sum when all of them say one, else the pod's limit. */
function defaultPodLevelRequests(spec: Json): void {
  const resources = spec['resources'] as Json | null | undefined;
  if (!isSet(resources)) return;
  const limits = (resources['limits'] ?? {}) as Json;
  const requests = (resources['requests'] ?? {}) as Json;
  if (Object.keys(limits).length === 0 && Object.keys(requests).length === 0) return;
  const containers = list(spec['containers']) as Json[];
  const names = new Set([
    ...Object.keys(limits),
    ...containers.flatMap((each) => Object.keys((each['resources']?.requests ?? {}) as Json)),
  ]);
  for (const name of names) {
    if (isSet(requests[name]) || !(name === 'cpu' || name === 'memory' || name.startsWith('hugepages-')))
      continue;
    const asked = containers.map((each) => each['resources']?.requests?.[name] as unknown).filter(isSet);
    if (asked.length > 0)
      requests[name] = asked
        .map(quantityOf)
        .reduce((sum, each) => sum.add(each))
        .toString();
    else if (isSet(limits[name])) requests[name] = limits[name] as unknown;
  }
  if (Object.keys(requests).length > 0) resources['requests'] = requests;
}

export function defaultPodTemplate(template: Json): void {
  defaultPodSpec(ensure(template, 'spec'));
}
