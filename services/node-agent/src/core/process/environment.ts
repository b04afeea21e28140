import type { KubeObject } from '@pilothouse/apimachinery';
import { quantityMilliValue, quantityValue } from '@pilothouse/apimachinery';
import type { Container, PodSpec } from '../pod-shape.ts';
import { expand } from './expand.ts';

/** What variables may be made of. Maps and secrets are those of the pod's namespace; undefined: there is none of that name. */
export interface EnvironmentInput {
  readonly pod: KubeObject;
  readonly container: Container;
  readonly podIp: string;
  readonly hostIp: string;
  readonly nodeName: string;
  readonly allocatable: Readonly<Record<string, string>>;
  /** Services of the namespace, for the variables of service links. */
  readonly services: readonly KubeObject[];
  readonly configMap: (name: string) => Readonly<Record<string, string>> | undefined;
  /** Values decoded. */
  readonly secret: (name: string) => Readonly<Record<string, string>> | undefined;
}

/** The container cannot be configured; kubelet's reason is CreateContainerConfigError. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

const validName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/;

/** Variables of a container, in kubelet's order of precedence: service links, envFrom, env. Throws ConfigError. */
export function containerEnvironment(input: EnvironmentInput): Record<string, string> {
  const { pod, container } = input;
  const spec = pod['spec'] as PodSpec;
  const result: Record<string, string> = {};
  if (spec.enableServiceLinks !== false) for (const service of input.services) addLink(result, service);
  for (const source of container.envFrom ?? []) {
    const kind = source.configMapRef ? 'configmap' : 'secret';
    const reference = source.configMapRef ?? source.secretRef;
    const name = reference?.name ?? '';
    const data = source.configMapRef ? input.configMap(name) : input.secret(name);
    if (!data) {
      if (reference?.optional === true) continue;
      throw new ConfigError(`${kind} "${name}" not found`);
    }
    for (const [key, value] of Object.entries(data)) {
      const variable = `${source.prefix ?? ''}${key}`;
      if (validName.test(variable)) result[variable] = value;
    }
  }
  // Later variables may use earlier ones and what came before them.
  const known: Record<string, string> = { ...result };
  for (const { name, value, valueFrom } of container.env ?? []) {
    let text: string | undefined;
    if (valueFrom === undefined) text = expand(value ?? '', known);
    else if (valueFrom.fieldRef) text = podField(input, valueFrom.fieldRef.fieldPath);
    else if (valueFrom.resourceFieldRef) text = resourceField(input, valueFrom.resourceFieldRef);
    else if (valueFrom.configMapKeyRef)
      text = keyOf('configmap', input.configMap, valueFrom.configMapKeyRef, pod);
    else if (valueFrom.secretKeyRef) text = keyOf('secret', input.secret, valueFrom.secretKeyRef, pod);
    if (text === undefined) continue;
    result[name] = text;
    known[name] = text;
  }
  return result;
}

function keyOf(
  kind: string,
  read: (name: string) => Readonly<Record<string, string>> | undefined,
  selector: { name?: string; key: string; optional?: boolean },
  pod: KubeObject,
): string | undefined {
  const data = read(selector.name ?? '');
  const value = data?.[selector.key];
  if (value !== undefined) return value;
  if (selector.optional === true) return undefined;
  if (!data) throw new ConfigError(`${kind} "${selector.name}" not found`);
  const title = kind === 'secret' ? 'Secret' : 'ConfigMap';
  throw new ConfigError(
    `couldn't find key ${selector.key} in ${title} ${pod.metadata.namespace}/${selector.name}`,
  );
}

/** `NAME_SERVICE_HOST` and the rest, in the form that Docker links had. Headless Services have none. */
function addLink(result: Record<string, string>, service: KubeObject): void {
  const spec = (service['spec'] ?? {}) as {
    clusterIP?: string;
    ports?: { name?: string; port: number; protocol?: string }[];
  };
  const ip = spec.clusterIP ?? '';
  if (ip === '' || ip === 'None') return;
  const prefix = (service.metadata.name ?? '').toUpperCase().replaceAll('-', '_');
  const ports = spec.ports ?? [];
  if (ports.length === 0) return;
  result[`${prefix}_SERVICE_HOST`] = ip;
  result[`${prefix}_SERVICE_PORT`] = String(ports[0]?.port);
  for (const port of ports)
    if (port.name)
      result[`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`] = String(port.port);
  ports.forEach((port, index) => {
    const protocol = (port.protocol ?? 'TCP').toLowerCase();
    const url = `${protocol}://${ip}:${port.port}`;
    const portPrefix = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
    if (index === 0) result[`${prefix}_PORT`] = url;
    result[portPrefix] = url;
    result[`${portPrefix}_PROTO`] = protocol;
    result[`${portPrefix}_PORT`] = String(port.port);
    result[`${portPrefix}_ADDR`] = ip;
  });
}

/** A field of the pod for the downward API. Throws ConfigError for one that is not allowed. */
export function podField(
  input: Pick<EnvironmentInput, 'pod' | 'podIp' | 'hostIp' | 'nodeName'>,
  path: string,
): string {
  const { metadata } = input.pod;
  const spec = input.pod['spec'] as PodSpec;
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (keyed)
    return (keyed[1] === 'labels' ? metadata.labels : metadata.annotations)?.[keyed[2] as string] ?? '';
  const map = (entries: Readonly<Record<string, string>> | undefined): string =>
    Object.entries(entries ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
      .join('\n');
  switch (path) {
    case 'metadata.name':
      return metadata.name ?? '';
    case 'metadata.namespace':
      return metadata.namespace ?? '';
    case 'metadata.uid':
      return metadata.uid ?? '';
    case 'metadata.labels':
      return map(metadata.labels);
    case 'metadata.annotations':
      return map(metadata.annotations);
    case 'spec.nodeName':
      return input.nodeName;
    case 'spec.serviceAccountName':
      return spec.serviceAccountName ?? '';
    case 'status.hostIP':
    case 'status.hostIPs':
      return input.hostIp;
    case 'status.podIP':
    case 'status.podIPs':
      return spec.hostNetwork === true ? input.hostIp : input.podIp;
    default:
      throw new ConfigError(`unsupported fieldPath: ${path}`);
  }
}

/** requests.* and limits.* of a container, divided and rounded up; a missing limit is the node's. */
export function resourceField(
  input: Pick<EnvironmentInput, 'pod' | 'allocatable'> & { readonly container?: Container },
  reference: { containerName?: string; resource: string; divisor?: string },
): string {
  const spec = input.pod['spec'] as PodSpec;
  const container =
    reference.containerName === undefined || reference.containerName === ''
      ? input.container
      : [...spec.containers, ...(spec.initContainers ?? [])].find(
          (each) => each.name === reference.containerName,
        );
  if (!container) throw new ConfigError(`container ${reference.containerName} not found`);
  const [kind, ...rest] = reference.resource.split('.');
  const resource = rest.join('.');
  const given = kind === 'limits' ? container.resources?.limits : container.resources?.requests;
  const value = given?.[resource] ?? (kind === 'limits' ? (input.allocatable[resource] ?? '0') : '0');
  const divisor = reference.divisor === undefined || reference.divisor === '0' ? '1' : reference.divisor;
  if (resource === 'cpu') return String(Math.ceil(quantityMilliValue(value) / quantityMilliValue(divisor)));
  return String(Math.ceil(quantityValue(value) / quantityValue(divisor)));
}
