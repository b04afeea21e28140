import type { FieldError, FieldPath, KubeObject } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { statusPath } from '../../common.ts';
import type { StrategyContext } from '../../strategy.ts';
import { byteLength, isDns1123Label, nameIsDnsSubdomain } from '../../validation/names.ts';
import type { Json } from '../../validation/values.ts';
import { isSet, list, problems, text } from '../../validation/values.ts';

/** Lists of container statuses, and the containers of the spec that they tell of. */
const kinds = [
  { statuses: 'containerStatuses', containers: 'containers' },
  { statuses: 'initContainerStatuses', containers: 'initContainers' },
  { statuses: 'ephemeralContainerStatuses', containers: 'ephemeralContainers' },
] as const;

const idMax = 2147483647;
const healths = ['Healthy', 'Unhealthy', 'Unknown'];
const healthMessageBytesMax = 1024;

/** Whether a container that ended with this code is started again. */
function mayRestart(container: Json, pod: Json, exitCode: number, allowsAll: boolean): boolean {
  const own = text(container['restartPolicy']);
  if (own !== '') {
    const rule = (list(container['restartPolicyRules']) as Json[]).find((each) => {
      const codes = each['exitCodes'] as Json | null | undefined;
      if (!isSet(codes)) return false;
      const isListed = (list(codes['values']) as number[]).includes(exitCode);
      return codes['operator'] === 'In' ? isListed : codes['operator'] === 'NotIn' && !isListed;
    });
    if (rule?.['action'] === 'Restart' || (rule?.['action'] === 'RestartAllContainers' && allowsAll))
      return true;
  }
  switch (own === '' ? text(pod['restartPolicy']) : own) {
    case 'Never':
      return false;
    case 'OnFailure':
      return exitCode !== 0;
    default:
      return true;
  }
}

/** A container that ended may not run again when the pod says that it must not. */
function validateTransitions(pod: KubeObject, old: KubeObject, context: StrategyContext): FieldError[] {
  const spec = (old['spec'] ?? {}) as Json;
  const allowsAll = context.featureEnabled('RestartAllContainersOnContainerExits');
  const restartsAll =
    allowsAll &&
    (['initContainers', 'containers'] as const).some((name) =>
      (list(spec[name]) as Json[]).some((container) =>
        (list(container['restartPolicyRules']) as Json[]).some(
          (rule) => rule['action'] === 'RestartAllContainers',
        ),
      ),
    );
  return kinds.flatMap(({ statuses, containers }) => {
    const isEphemeral = statuses === 'ephemeralContainerStatuses';
    if (restartsAll && !isEphemeral) return [];
    const now = list(pod['status']?.[statuses]) as Json[];
    const errors: FieldError[] = [];
    (list(old['status']?.[statuses]) as Json[]).forEach((before, index) => {
      const terminated = before['state']?.terminated as Json | null | undefined;
      if (!isSet(terminated)) return;
      const after = now.find((each) => each['name'] === before['name'] && !isSet(each['state']?.terminated));
      if (after === undefined) return;
      const container = (list(spec[containers]) as Json[]).find((each) => each['name'] === before['name']);
      const exitCode = (terminated['exitCode'] ?? 0) as number;
      if (!isEphemeral && container !== undefined && mayRestart(container, spec, exitCode, allowsAll)) return;
      errors.push(
        fieldError.forbidden(
          statusPath.child(statuses).index(index).child('state'),
          'may not be transitioned to non-terminated state',
        ),
      );
    });
    return errors;
  });
}

const validateId = (path: FieldPath, value: unknown): FieldError[] => {
  const id = Number(value ?? 0);
  return id < 0 || id > idMax
    ? [fieldError.invalid(path, id, `must be between 0 and ${idMax}, inclusive`)]
    : [];
};

function validateUser(status: Json, at: FieldPath, isWindows: boolean): FieldError[] {
  const linux = status['user']?.linux as Json | null | undefined;
  if (!isSet(linux)) return [];
  const path = at.child('user').child('linux');
  if (isWindows) return [fieldError.forbidden(path, 'cannot be set for a windows pod')];
  return [
    ...validateId(path.child('uid'), linux['uid']),
    ...validateId(path.child('gid'), linux['gid']),
    ...list(linux['supplementalGroups']).flatMap((group: unknown, index) =>
      validateId(path.child('supplementalGroups').index(index), group),
    ),
  ];
}

/** Allocated resources are those that the container asks for. */
function validateAllocated(status: Json, container: Json | undefined, at: FieldPath): FieldError[] {
  return (list(status['allocatedResourcesStatus']) as Json[]).flatMap((allocated, index) => {
    const path = at.child('allocatedResourcesStatus').index(index);
    const errors: FieldError[] = [];
    const name = text(allocated['name']);
    if (container !== undefined) {
      const isClaim = name.startsWith('claim:');
      const claims = (list(container['resources']?.claims) as Json[]).map(
        (claim) =>
          `claim:${text(claim['name'])}${text(claim['request']) === '' ? '' : `/${claim['request']}`}`,
      );
      const requests = Object.keys((container['resources']?.requests ?? {}) as Json);
      if (!(isClaim ? claims : requests).includes(name))
        errors.push(
          fieldError.invalid(
            path.child('name'),
            name,
            isClaim
              ? "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
              : "must match one of the container's resource requests",
          ),
        );
    }
    const seen = new Set<string>();
    (list(allocated['resources']) as Json[]).forEach((resource, resourceIndex) => {
      const one = path.child('resources').index(resourceIndex);
      const health = text(resource['health']);
      if (!healths.includes(health))
        errors.push(fieldError.notSupported(one.child('health'), health, healths));
      if (isSet(resource['message'])) {
        const message = text(resource['message']);
        if (message === '')
          errors.push(fieldError.required(one.child('message'), 'must be non-empty if specified'));
        else if (byteLength(message) > healthMessageBytesMax)
          errors.push(fieldError.tooLong(one.child('message'), healthMessageBytesMax));
      }
      const id = text(resource['resourceID']);
      if (seen.has(id)) errors.push(fieldError.duplicate(one.child('resourceID'), id));
      seen.add(id);
    });
    return errors;
  });
}

function validateClaimStatuses(pod: KubeObject): FieldError[] {
  const path = statusPath.child('resourceClaimStatuses');
  const known = new Set((list(pod['spec']?.resourceClaims) as Json[]).map((claim) => text(claim['name'])));
  const seen = new Set<string>();
  return (list(pod['status']?.resourceClaimStatuses) as Json[]).flatMap((status, index) => {
    const at = path.index(index);
    const name = text(status['name']);
    const errors: FieldError[] = [];
    if (!known.has(name))
      errors.push(
        fieldError.invalid(
          at.child('name'),
          name,
          'must match the name of an entry in `spec.resourceClaims`',
        ),
      );
    if (seen.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    seen.add(name);
    if (isSet(status['resourceClaimName'])) {
      const claim = text(status['resourceClaimName']);
      errors.push(...problems(at.child('resourceClaimName'), claim, nameIsDnsSubdomain(claim, false)));
    }
    return errors;
  });
}

function validateExtendedClaim(pod: KubeObject): FieldError[] {
  const status = pod['status']?.extendedResourceClaimStatus as Json | null | undefined;
  if (!isSet(status)) return [];
  const path = statusPath.child('extendedResourceClaimStatus');
  const spec = (pod['spec'] ?? {}) as Json;
  const containers = new Map(
    [...list(spec['initContainers']), ...list(spec['containers'])].map((each: Json) => [
      text(each['name']),
      each,
    ]),
  );
  const mappings = list(status['requestMappings']) as Json[];
  const errors: FieldError[] = [];
  if (mappings.length === 0)
    errors.push(
      fieldError.required(path.child('requestMappings'), 'at least one request mapping is required'),
    );
  const seen = new Set<string>();
  mappings.forEach((mapping, index) => {
    const at = path.child('requestMappings').index(index);
    const [container, resource, request] = (['containerName', 'resourceName', 'requestName'] as const).map(
      (name) => text(mapping[name]),
    ) as [string, string, string];
    const found = containers.get(container);
    const anyOf = (member: string): string => `spec.initContainers.${member} or spec.containers.${member}`;
    if (found === undefined)
      errors.push(
        fieldError.invalid(
          at.child('containerName'),
          container,
          `must match the name of an entry in ${anyOf('name')}`,
        ),
      );
    else if (!Object.hasOwn((found['resources']?.requests ?? {}) as Json, resource))
      errors.push(
        fieldError.invalid(
          at.child('resourceName'),
          resource,
          `must match the extended resource name of an entry in ${anyOf('resources.requests')}`,
        ),
      );
    errors.push(...problems(path.child('requestName'), request, isDns1123Label(request)));
    const key = JSON.stringify([container, resource, request]);
    if (seen.has(key))
      errors.push(
        fieldError.duplicate(at.child('containerName'), container),
        fieldError.duplicate(at.child('resourceName'), resource),
        fieldError.duplicate(at.child('requestName'), request),
      );
    seen.add(key);
  });
  const claim = text(status['resourceClaimName']);
  if (claim === '') errors.push(fieldError.required(path.child('resourceClaimName')));
  else errors.push(...problems(path.child('resourceClaimName'), claim, nameIsDnsSubdomain(claim, false)));
  return errors;
}

/** What the status says of containers and of the claims they use. */
export function validateContainerStatuses(
  pod: KubeObject,
  old: KubeObject,
  context: StrategyContext,
): FieldError[] {
  return [
    ...validateTransitions(pod, old, context),
    ...validateClaimStatuses(pod),
    ...validateExtendedClaim(pod),
  ];
}

/** Users of containers and what was allocated to them; upstream checks them after the addresses. */
export function validateContainerDetails(pod: KubeObject): FieldError[] {
  const spec = (pod['spec'] ?? {}) as Json;
  const isWindows = text(spec['os']?.name) === 'windows';
  const each = (check: (status: Json, at: FieldPath, containers: string) => FieldError[]): FieldError[] =>
    kinds.flatMap(({ statuses, containers }) =>
      (list(pod['status']?.[statuses]) as Json[]).flatMap((status, index) =>
        check(status, statusPath.child(statuses).index(index), containers),
      ),
    );
  return [
    ...each((status, at) => validateUser(status, at, isWindows)),
    ...each((status, at, containers) => {
      if (containers === 'ephemeralContainers')
        return list(status['allocatedResourcesStatus']).length === 0
          ? []
          : [
              fieldError.forbidden(
                at.child('allocatedResourcesStatus'),
                'must not be specified in container status',
              ),
            ];
      const container = (list(spec[containers]) as Json[]).find((one) => one['name'] === status['name']);
      return validateAllocated(status, container, at);
    }),
  ];
}
