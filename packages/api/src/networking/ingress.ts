import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import {
  bumpGeneration,
  metadataPath,
  restore,
  specPath,
  startGeneration,
  statusHooks,
  statusPath,
} from '../common.ts';
import type { ResourceStrategy } from '../strategy.ts';
import { ageOf, nameOf } from '../table/cells.ts';
import { columnsOf } from '../table/columns.ts';
import {
  isDns1123Label,
  isDns1123Subdomain,
  isValidPortName,
  isValidPortNumber,
  isWildcardDns1123Subdomain,
  nameIsDnsSubdomain,
} from '../validation/names.ts';
import { parseIp, validateIpLegacy } from '../validation/network.ts';
import type { Json } from '../validation/values.ts';
import { isSet, list, problems, text } from '../validation/values.ts';

const classAnnotation = 'kubernetes.io/ingress.class';
const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const badSequences = ['//', '/./', '/../', '%2f', '%2F'];
const badSuffixes = ['/..', '/.'];

function validateHost(host: string, path: FieldPath): FieldError[] {
  if (host.includes('*')) return problems(path, host, isWildcardDns1123Subdomain(host));
  return problems(path, host, isDns1123Subdomain(host));
}

function validateBackend(backend: Json | null | undefined, path: FieldPath): FieldError[] {
  const service = backend?.['service'] as Json | null | undefined;
  const resource = backend?.['resource'] as Json | null | undefined;
  if (isSet(service) && isSet(resource))
    return [fieldError.invalid(path, '', 'cannot set both resource and service backends')];
  if (isSet(resource)) {
    const errors: FieldError[] = [];
    const at = path.child('resource');
    for (const name of ['kind', 'name'])
      if (text(resource[name]) === '') errors.push(fieldError.required(at.child(name)));
    if (isSet(resource['apiGroup']))
      errors.push(
        ...problems(
          at.child('apiGroup'),
          resource['apiGroup'],
          isDns1123Subdomain(text(resource['apiGroup'])),
        ),
      );
    return errors;
  }
  if (!isSet(service)) return [fieldError.invalid(path, '', 'resource or service backend is required')];
  const errors: FieldError[] = [];
  const name = text(service['name']);
  if (name === '') errors.push(fieldError.required(path.child('service', 'name')));
  else errors.push(...problems(path.child('service', 'name'), name, isDns1123Label(name)));
  const portName = text(service['port']?.name);
  const number: number = service['port']?.number ?? 0;
  if (portName !== '' && number !== 0)
    errors.push(fieldError.invalid(path, '', 'cannot set both port name & port number'));
  else if (portName !== '')
    errors.push(...problems(path.child('service', 'port', 'name'), portName, isValidPortName(portName)));
  else if (number !== 0)
    errors.push(...problems(path.child('service', 'port', 'number'), number, isValidPortNumber(number)));
  else errors.push(fieldError.required(path, 'port name or number is required'));
  return errors;
}

function validatePath(each: Json, path: FieldPath): FieldError[] {
  if (!isSet(each['pathType']))
    return [fieldError.required(path.child('pathType'), 'pathType must be specified')];
  const errors: FieldError[] = [];
  const value = text(each['path']);
  const at = path.child('path');
  switch (each['pathType']) {
    case 'Exact':
    case 'Prefix':
      if (!value.startsWith('/')) errors.push(fieldError.invalid(at, value, 'must be an absolute path'));
      if (value !== '') {
        for (const bad of badSequences)
          if (value.includes(bad)) errors.push(fieldError.invalid(at, value, `must not contain '${bad}'`));
        for (const bad of badSuffixes)
          if (value.endsWith(bad)) errors.push(fieldError.invalid(at, value, `cannot end with '${bad}'`));
      }
      break;
    case 'ImplementationSpecific':
      if (value !== '' && !value.startsWith('/'))
        errors.push(fieldError.invalid(at, value, 'must be an absolute path'));
      break;
    default:
      errors.push(fieldError.notSupported(path.child('pathType'), each['pathType'], pathTypes));
  }
  errors.push(...validateBackend(each['backend'], path.child('backend')));
  return errors;
}

function validateRule(rule: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const host = text(rule['host']);
  if (host !== '') {
    if (parseIp(host) !== undefined)
      errors.push(fieldError.invalid(path.child('host'), host, 'must be a DNS name, not an IP address'));
    else errors.push(...validateHost(host, path.child('host')));
  }
  if (isSet(rule['http'])) {
    const paths = list(rule['http'].paths) as Json[];
    const at = path.child('http', 'paths');
    if (paths.length === 0) errors.push(fieldError.required(at));
    paths.forEach((each, index) => errors.push(...validatePath(each, at.index(index))));
  }
  return errors;
}

function validate(object: KubeObject, old?: KubeObject): FieldError[] {
  const spec = (object['spec'] ?? {}) as Json;
  const errors: FieldError[] = [];
  const rules = list(spec['rules']) as Json[];
  if (rules.length === 0 && !isSet(spec['defaultBackend']))
    errors.push(fieldError.invalid(specPath, null, 'either `defaultBackend` or `rules` must be specified'));
  if (isSet(spec['defaultBackend']))
    errors.push(...validateBackend(spec['defaultBackend'], specPath.child('defaultBackend')));
  rules.forEach((rule, index) => errors.push(...validateRule(rule, specPath.child('rules').index(index))));
  list(spec['tls']).forEach((tls: Json, index) => {
    const at = specPath.child('tls').index(index);
    (list(tls['hosts']) as string[]).forEach((host, hostIndex) => {
      errors.push(...validateHost(host, at.child('hosts').index(hostIndex)));
    });
    const secret = text(tls['secretName']);
    if (secret !== '')
      errors.push(...problems(at.child('secretName'), secret, nameIsDnsSubdomain(secret, false)));
  });
  if (isSet(spec['ingressClassName']))
    errors.push(
      ...problems(
        specPath.child('ingressClassName'),
        spec['ingressClassName'],
        nameIsDnsSubdomain(text(spec['ingressClassName']), false),
      ),
    );
  if (old === undefined) {
    const annotation = object.metadata.annotations?.[classAnnotation];
    if (
      annotation !== undefined &&
      isSet(spec['ingressClassName']) &&
      annotation !== spec['ingressClassName']
    )
      errors.push(
        fieldError.invalid(
          metadataPath.child('annotations').key(classAnnotation),
          annotation,
          'ingressClassName and annotation must match when both are specified',
        ),
      );
  }
  return errors;
}

function validateStatus(object: KubeObject): FieldError[] {
  return list(object['status']?.loadBalancer?.ingress).flatMap((each: Json, index) => {
    const path = statusPath.child('loadBalancer', 'ingress').index(index);
    const errors: FieldError[] = [];
    const ip = text(each['ip']);
    if (ip !== '') errors.push(...validateIpLegacy(path.child('ip'), ip));
    const host = text(each['hostname']);
    if (host !== '') {
      errors.push(...problems(path.child('hostname'), host, isDns1123Subdomain(host)));
      if (parseIp(host) !== undefined)
        errors.push(
          fieldError.invalid(path.child('hostname'), host, 'must be a DNS name, not an IP address'),
        );
    }
    return errors;
  });
}

function warnings(object: KubeObject): string[] {
  return object.metadata.annotations?.[classAnnotation] === undefined
    ? []
    : [`annotation "${classAnnotation}" is deprecated, please use 'spec.ingressClassName' instead`];
}

const shownHosts = 3;

function hostsText(object: KubeObject): string {
  const hosts = (list(object['spec']?.rules) as Json[])
    .map((rule) => text(rule['host']))
    .filter((host) => host !== '');
  if (hosts.length === 0) return '*';
  const shown = hosts.slice(0, shownHosts).join(',');
  return hosts.length > shownHosts ? `${shown} + ${hosts.length - shownHosts} more...` : shown;
}

export const ingressStrategy: ResourceStrategy = {
  group: 'networking.k8s.io',
  version: 'v1',
  kind: 'Ingress',
  revalidatesMetadata: true,
  resource: 'ingresses',
  resetFields: ['status'],
  prepareForCreate(object) {
    object['status'] = {};
    startGeneration(object);
  },
  validate: (object) => validate(object),
  warningsOnCreate: warnings,
  prepareForUpdate(object, old) {
    restore(object, old, 'status');
    bumpGeneration(object, old);
  },
  validateUpdate: (object, old) => validate(object, old),
  warningsOnUpdate: warnings,
  subresources: { status: statusHooks(validateStatus) },
  columns: columnsOf['networking.k8s.io/ingresses'] ?? [],
  cells(object, nowMs) {
    const spec = (object['spec'] ?? {}) as Json;
    const addresses = (list(object['status']?.loadBalancer?.ingress) as Json[]).map(
      (each) => text(each['ip']) || text(each['hostname']),
    );
    return [
      nameOf(object),
      isSet(spec['ingressClassName']) ? text(spec['ingressClassName']) : '<none>',
      hostsText(object),
      [...new Set(addresses.filter((each) => each !== ''))].join(','),
      list(spec['tls']).length > 0 ? '80, 443' : '80',
      ageOf(object, nowMs),
    ];
  },
};
