import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError, shownMember } from '@pilothouse/apimachinery';
import { validateEnv, validateEnvFrom, validateLocalDescendingPath } from './env.ts';
import { isDns1123Label, isValidPortName, isValidPortNumber } from './names.ts';
import { validateLifecycle, validateProbeOf } from './probes.ts';
import { validateResourceRequirements } from './resources.ts';
import { validateSecurityContext } from './security-context.ts';
import type { Json } from './values.ts';
import { isSet, list, oneOf, problems, text } from './values.ts';

/** What the containers of a pod share. */
export interface PodFacts {
  readonly volumes: ReadonlyMap<string, Json>;
  readonly claimNames: ReadonlySet<string>;
  readonly restartPolicy: string;
  readonly graceSeconds: number | undefined;
  readonly hostUsers: boolean;
}

const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const protocols = ['SCTP', 'TCP', 'UDP'];

function validatePorts(ports: unknown, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  list(ports).forEach((port: Json, index) => {
    const at = path.index(index);
    const name = text(port['name']);
    if (name !== '') {
      const found = isValidPortName(name);
      if (found.length > 0) errors.push(...problems(at.child('name'), name, found));
      else if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
      else names.add(name);
    }
    const number: number = port['containerPort'] ?? 0;
    if (number === 0) errors.push(fieldError.required(at.child('containerPort')));
    else errors.push(...problems(at.child('containerPort'), number, isValidPortNumber(number)));
    const hostPort: number = port['hostPort'] ?? 0;
    if (hostPort !== 0) errors.push(...problems(at.child('hostPort'), hostPort, isValidPortNumber(hostPort)));
    const protocol = text(port['protocol']);
    if (protocol === '') errors.push(fieldError.required(at.child('protocol')));
    else errors.push(...oneOf(at.child('protocol'), protocol, protocols));
  });
  return errors;
}

/** Two containers may not take the same port of the host. */
export function hostPortConflicts(containers: readonly Json[], path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  containers.forEach((container, index) => {
    list(container['ports']).forEach((port: Json, portIndex) => {
      const hostPort: number = port['hostPort'] ?? 0;
      if (hostPort === 0) return;
      const key = `${text(port['protocol'])}/${text(port['hostIP'])}/${hostPort}`;
      if (seen.has(key))
        errors.push(
          fieldError.duplicate(path.index(index).child('ports').index(portIndex).child('hostPort'), key),
        );
      seen.add(key);
    });
  });
  return errors;
}

function validateMountPropagation(mount: Json, container: Json, path: FieldPath): FieldError[] {
  const propagation = mount['mountPropagation'] as string | null | undefined;
  if (!isSet(propagation)) return [];
  if (!['Bidirectional', 'HostToContainer', 'None'].includes(propagation))
    return [fieldError.notSupported(path, propagation, ['Bidirectional', 'HostToContainer', 'None'])];
  if (propagation === 'Bidirectional' && container['securityContext']?.privileged !== true)
    return [
      fieldError.forbidden(
        path,
        'Bidirectional mount propagation is available only to privileged containers',
      ),
    ];
  return [];
}

function validateMounts(container: Json, facts: PodFacts, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const mountPaths = new Set<string>();
  const devices = new Set(list(container['volumeDevices']).map((device: Json) => text(device['name'])));
  const devicePaths = new Set(
    list(container['volumeDevices']).map((device: Json) => text(device['devicePath'])),
  );
  list(container['volumeMounts']).forEach((mount: Json, index) => {
    const at = path.index(index);
    const name = text(mount['name']);
    const mountPath = text(mount['mountPath']);
    if (name === '') errors.push(fieldError.required(at.child('name')));
    if (!facts.volumes.has(name)) errors.push(fieldError.notFound(at.child('name'), name));
    if (mountPath === '') errors.push(fieldError.required(at.child('mountPath')));
    if (mountPaths.has(mountPath))
      errors.push(fieldError.invalid(at.child('mountPath'), mountPath, 'must be unique'));
    mountPaths.add(mountPath);
    if (devices.has(name))
      errors.push(fieldError.invalid(at.child('name'), name, 'must not already exist in volumeDevices'));
    if (devicePaths.has(mountPath))
      errors.push(
        fieldError.invalid(
          at.child('mountPath'),
          mountPath,
          'must not already exist as a path in volumeDevices',
        ),
      );
    const subPath = text(mount['subPath']);
    // Upstream names these two by the list, not the element.
    if (subPath !== '') errors.push(...validateLocalDescendingPath(subPath, path.child('subPath')));
    const subPathExpr = text(mount['subPathExpr']);
    if (subPathExpr !== '') {
      if (subPath !== '')
        errors.push(
          fieldError.invalid(
            at.child('subPathExpr'),
            subPathExpr,
            'subPathExpr and subPath are mutually exclusive',
          ),
        );
      errors.push(...validateLocalDescendingPath(subPathExpr, path.child('subPathExpr')));
    }
    errors.push(...validateMountPropagation(mount, container, path.child('mountPropagation')));
    errors.push(...validateRecursiveReadOnly(mount, path.child('recursiveReadOnly')));
  });
  return errors;
}

function validateRecursiveReadOnly(mount: Json, path: FieldPath): FieldError[] {
  const mode = mount['recursiveReadOnly'] as string | null | undefined;
  if (!isSet(mode)) return [];
  if (!['Disabled', 'Enabled', 'IfPossible'].includes(mode))
    return [fieldError.notSupported(path, mode, ['Disabled', 'Enabled', 'IfPossible'])];
  if (mode === 'Disabled') return [];
  const errors: FieldError[] = [];
  if (mount['readOnly'] !== true)
    errors.push(fieldError.forbidden(path, 'may only be specified when readOnly is true'));
  const propagation = mount['mountPropagation'] as string | null | undefined;
  if (isSet(propagation) && propagation !== 'None')
    errors.push(
      fieldError.forbidden(path, 'may only be specified when mountPropagation is None or not specified'),
    );
  return errors;
}

function validateDevices(container: Json, facts: PodFacts, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  const paths = new Set<string>();
  const mounts = new Set(list(container['volumeMounts']).map((mount: Json) => text(mount['name'])));
  const mountPaths = new Set(list(container['volumeMounts']).map((mount: Json) => text(mount['mountPath'])));
  list(container['volumeDevices']).forEach((device: Json, index) => {
    const at = path.index(index);
    const name = text(device['name']);
    const devicePath = text(device['devicePath']);
    if (name === '') errors.push(fieldError.required(at.child('name')));
    if (names.has(name)) errors.push(fieldError.invalid(at.child('name'), name, 'must be unique'));
    const volume = facts.volumes.get(name);
    if (volume !== undefined && !isSet(volume['persistentVolumeClaim']) && !isSet(volume['ephemeral']))
      errors.push(
        fieldError.invalid(
          at.child('name'),
          name,
          'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        ),
      );
    if (volume === undefined) errors.push(fieldError.notFound(at.child('name'), name));
    if (devicePath === '') errors.push(fieldError.required(at.child('devicePath')));
    if (paths.has(devicePath))
      errors.push(fieldError.invalid(at.child('devicePath'), devicePath, 'must be unique'));
    if (devicePath.split('/').includes('..'))
      errors.push(fieldError.invalid(at.child('devicePath'), devicePath, "can not contain backsteps ('..')"));
    else paths.add(devicePath);
    if (mounts.has(name))
      errors.push(fieldError.invalid(at.child('name'), name, 'must not already exist in volumeMounts'));
    if (mountPaths.has(devicePath))
      errors.push(
        fieldError.invalid(
          at.child('devicePath'),
          devicePath,
          'must not already exist as a path in volumeMounts',
        ),
      );
    if (name !== '') names.add(name);
  });
  return errors;
}

function validateResizePolicy(policies: unknown, path: FieldPath, restartPolicy: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list(policies).forEach((policy: Json, index) => {
    const at = path.index(index);
    const resource = text(policy['resourceName']);
    if (seen.has(resource)) errors.push(fieldError.duplicate(at, resource));
    seen.add(resource);
    if (resource === '') errors.push(fieldError.required(path));
    else if (resource !== 'cpu' && resource !== 'memory')
      errors.push(fieldError.notSupported(path, resource, ['cpu', 'memory']));
    const restart = text(policy['restartPolicy']);
    if (restart === '') errors.push(fieldError.required(path));
    else if (restart !== 'NotRequired' && restart !== 'RestartContainer')
      errors.push(fieldError.notSupported(path, restart, ['NotRequired', 'RestartContainer']));
    if (restartPolicy === 'Never' && restart !== 'NotRequired')
      errors.push(
        fieldError.invalid(path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"),
      );
  });
  return errors;
}

function validatePullPolicy(policy: unknown, path: FieldPath): FieldError[] {
  if (text(policy) === '') return [fieldError.required(path)];
  return oneOf(path, policy, pullPolicies);
}

function validateTerminationPolicy(policy: unknown, path: FieldPath): FieldError[] {
  if (text(policy) === '') return [fieldError.required(path)];
  return oneOf(path, policy, ['File', 'FallbackToLogsOnError']);
}

/** What all kinds of container share. */
function validateCommon(container: Json, facts: PodFacts, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const name = text(container['name']);
  if (name === '') errors.push(fieldError.required(path.child('name')));
  else errors.push(...problems(path.child('name'), name, isDns1123Label(name)));
  if (text(container['image']) === '') errors.push(fieldError.required(path.child('image')));
  errors.push(
    ...validateTerminationPolicy(
      container['terminationMessagePolicy'],
      path.child('terminationMessagePolicy'),
    ),
  );
  errors.push(...validatePorts(container['ports'], path.child('ports')));
  errors.push(...validateEnv(container['env'], path.child('env')));
  errors.push(...validateEnvFrom(container['envFrom'], path.child('envFrom')));
  errors.push(...validateMounts(container, facts, path.child('volumeMounts')));
  errors.push(...validateDevices(container, facts, path.child('volumeDevices')));
  errors.push(...validatePullPolicy(container['imagePullPolicy'], path.child('imagePullPolicy')));
  errors.push(
    ...validateResourceRequirements(container['resources'], path.child('resources'), facts.claimNames),
  );
  errors.push(
    ...validateResizePolicy(container['resizePolicy'], path.child('resizePolicy'), facts.restartPolicy),
  );
  errors.push(
    ...validateSecurityContext(container['securityContext'], path.child('securityContext'), facts.hostUsers),
  );
  return errors;
}

export function validateContainers(containers: unknown, facts: PodFacts, path: FieldPath): FieldError[] {
  const all = list(containers) as Json[];
  if (all.length === 0) return [fieldError.required(path)];
  const errors: FieldError[] = [];
  const names = new Set<string>();
  all.forEach((container, index) => {
    const at = path.index(index);
    errors.push(...validateCommon(container, facts, at));
    const name = text(container['name']);
    if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    else names.add(name);
    errors.push(...validateLifecycle(container['lifecycle'], at.child('lifecycle'), facts.graceSeconds));
    errors.push(...validateProbeOf(container, 'livenessProbe', at));
    errors.push(...validateProbeOf(container, 'readinessProbe', at));
    errors.push(...validateProbeOf(container, 'startupProbe', at));
    errors.push(...validateContainerRestart(container, at));
  });
  errors.push(...hostPortConflicts(all, path));
  return errors;
}

const policyMissing = 'must specify restartPolicy when restart rules are used';
const restartRulesMax = 20;
const restartActions = ['Restart', 'RestartAllContainers'];

function validateContainerRestart(container: Json, path: FieldPath): FieldError[] {
  const policy = container['restartPolicy'] as string | null | undefined;
  const rules = list(container['restartPolicyRules']) as Json[];
  const at = path.child('restartPolicy');
  const errors: FieldError[] = [];
  if (isSet(policy)) errors.push(...oneOf(at, policy, ['Always', 'Never', 'OnFailure']));
  else if (rules.length > 0) errors.push(fieldError.required(at, policyMissing));
  else return errors;
  const rulesPath = path.child('restartPolicyRules');
  if (rules.length > restartRulesMax)
    errors.push(fieldError.tooMany(rulesPath, rules.length, restartRulesMax));
  rules.forEach((rule, index) => {
    const at = rulesPath.index(index);
    errors.push(...oneOf(at.child('action'), text(rule['action']), restartActions));
    const codes = rule['exitCodes'] as Json | null | undefined;
    if (!isSet(codes)) {
      errors.push(fieldError.required(at.child('exitCodes'), 'must be specified'));
      return;
    }
    errors.push(...oneOf(at.child('exitCodes', 'operator'), text(codes['operator']), ['In', 'NotIn']));
    const { length } = list(codes['values']);
    if (length > 255) errors.push(fieldError.tooMany(at.child('exitCodes', 'values'), length, 255));
  });
  return errors;
}

export function validateInitContainers(
  containers: unknown,
  regular: readonly Json[],
  facts: PodFacts,
  path: FieldPath,
): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set(regular.map((container) => text(container['name'])));
  list(containers).forEach((container: Json, index) => {
    const at = path.index(index);
    const sidecar = container['restartPolicy'] === 'Always';
    errors.push(...validateCommon(container, facts, at));
    if (isSet(container['restartPolicy'])) errors.push(...validateContainerRestart(container, at));
    else if (list(container['restartPolicyRules']).length > 0)
      errors.push(fieldError.required(at.child('restartPolicy'), policyMissing));
    const name = text(container['name']);
    if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    else if (name !== '') names.add(name);
    // Upstream looks at each alone, so the first index is named for all.
    errors.push(...hostPortConflicts([container], path));
    if (sidecar) {
      errors.push(...validateLifecycle(container['lifecycle'], at.child('lifecycle'), facts.graceSeconds));
      errors.push(...validateProbeOf(container, 'livenessProbe', at));
      errors.push(...validateProbeOf(container, 'readinessProbe', at));
      errors.push(...validateProbeOf(container, 'startupProbe', at));
    } else {
      const detail = 'may not be set for init containers without restartPolicy=Always';
      for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'])
        if (isSet(container[field])) errors.push(fieldError.forbidden(at.child(field), detail));
      list(container['resizePolicy']).forEach((policy: Json, policyIndex) => {
        if (policy['restartPolicy'] === 'RestartContainer')
          errors.push(
            fieldError.invalid(
              at.child('resizePolicy').index(policyIndex).child('restartPolicy'),
              'RestartContainer',
              "must not be set to 'RestartContainer' for non-sidecar initContainers",
            ),
          );
      });
    }
  });
  return errors;
}

/** What an ephemeral container may not have, in the order of upstream's internal struct. */
const ephemeralForbidden = [
  'ports',
  'resources',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
];

const cannotSet = 'cannot be set for an Ephemeral Container';

export function validateEphemeralContainers(spec: Json, facts: PodFacts, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const others = [...list(spec['containers']), ...list(spec['initContainers'])] as Json[];
  const otherNames = new Set(others.map((container) => text(container['name'])));
  const names = new Set(otherNames);
  list(spec['ephemeralContainers']).forEach((container: Json, index) => {
    const at = path.index(index);
    errors.push(...validateCommon(container, facts, at), ...validateImageText(container, at));
    const name = text(container['name']);
    if (names.has(name)) errors.push(fieldError.duplicate(at.child('name'), name));
    else names.add(name);
    const target = text(container['targetContainerName']);
    if (target !== '' && !otherNames.has(target))
      errors.push(fieldError.notFound(at.child('targetContainerName'), target));
    for (const field of ephemeralForbidden) {
      // Empty lists and objects were given too, but for `resources` itself.
      const value = shownMember(container, field);
      const members = ['limits', 'requests', 'claims'];
      const given =
        field === 'resources'
          ? members.some((each) => isSet(shownMember(value as Json, each)))
          : isSet(value);
      if (given) errors.push(fieldError.forbidden(at.child(field), cannotSet));
    }
    list(container['volumeMounts']).forEach((mount: Json, mountIndex) => {
      for (const field of ['subPath', 'subPathExpr'])
        if (text(mount[field]) !== '')
          errors.push(
            fieldError.forbidden(at.child('volumeMounts').index(mountIndex).child(field), cannotSet),
          );
    });
  });
  return errors;
}

/** A rule that holds for pods but not for templates. */
export function validateImageText(container: Json, path: FieldPath): FieldError[] {
  const image = text(container['image']);
  return image.trim() === image
    ? []
    : [fieldError.invalid(path.child('image'), image, 'must not have leading or trailing whitespace')];
}
