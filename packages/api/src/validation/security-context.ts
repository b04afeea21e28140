import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { internalText } from './internal-text.ts';
import { inclusiveRange } from './names.ts';
import type { Json } from './values.ts';
import { isSet, list, oneOf, text } from './values.ts';
import { validateLocalDescendingPath } from './env.ts';
import { validateWindowsOptions } from './windows.ts';

const idMax = 2147483647;

function validateId(id: unknown, path: FieldPath): FieldError[] {
  return typeof id === 'number' && (id < 0 || id > idMax)
    ? [fieldError.invalid(path, id, inclusiveRange(0, idMax))]
    : [];
}

const sysctlSegment = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const sysctlPattern = `^(${sysctlSegment}[\\./])*${sysctlSegment}$`;
const sysctl = new RegExp(`^(${sysctlSegment}[./])*${sysctlSegment}$`);

const ipcSysctls = new Set([
  'kernel.sem',
  'kernel.shmall',
  'kernel.shmmax',
  'kernel.shmmni',
  'kernel.shm_rmid_forced',
  'kernel.shm',
  'kernel.msgmax',
  'kernel.msgmnb',
  'kernel.msgmni',
  'kernel.msg',
]);

/** With slashes for dots where the first separator is a slash: `net/ipv4/conf/eno2.100/rp_filter`. */
function withDots(name: string): string {
  if (/[./]/.exec(name)?.[0] !== '/') return name;
  return name.replace(/[./]/g, (separator) => (separator === '.' ? '/' : '.'));
}

/** Settings of a namespace that the pod shares with its host are the host's. */
function validateHostSysctl(name: string, spec: Json, path: FieldPath): FieldError[] {
  const dotted = withDots(name).split('*')[0] as string;
  const isIpc = ipcSysctls.has(dotted) || dotted.startsWith('fs.mqueue.');
  if (spec['hostNetwork'] === true && !isIpc && dotted.startsWith('net.'))
    return [fieldError.invalid(path, name, "may not be specified when 'hostNetwork' is true")];
  if (spec['hostIPC'] === true && isIpc)
    return [fieldError.invalid(path, name, "may not be specified when 'hostIPC' is true")];
  return [];
}

function validateSysctls(context: Json, spec: Json, path: FieldPath): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  list(context['sysctls']).forEach((each: Json, index) => {
    const at = path.index(index).child('name');
    const name = text(each['name']);
    if (name === '') errors.push(fieldError.required(at));
    else if (name.length > 253 || !sysctl.test(name))
      errors.push(
        fieldError.invalid(at, name, `must have at most 253 characters and match regex ${sysctlPattern}`),
      );
    else if (seen.has(name)) errors.push(fieldError.duplicate(at, name));
    errors.push(...validateHostSysctl(name, spec, at));
    seen.add(name);
  });
  return errors;
}

export function validateSeccompProfile(profile: Json | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(profile)) return [];
  const type = text(profile['type']);
  const errors =
    type === ''
      ? [fieldError.required(path.child('type'), 'type is required when seccompProfile is set')]
      : oneOf(path.child('type'), type, ['Localhost', 'RuntimeDefault', 'Unconfined']);
  const local = profile['localhostProfile'] as string | null | undefined;
  if (type === 'Localhost') {
    if (!isSet(local))
      errors.push(
        fieldError.required(path.child('localhostProfile'), 'must be set when seccomp type is Localhost'),
      );
    else errors.push(...validateLocalDescendingPath(local, path.child('localhostProfile')));
  } else if (isSet(local))
    errors.push({
      type: 'FieldValueInvalid',
      field: path.child('localhostProfile').toString(),
      message: `Invalid value: ${internalText('SeccompProfile', profile)}: can only be set when seccomp type is Localhost`,
    });
  return errors;
}

export function validateAppArmorProfile(profile: Json | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(profile)) return [];
  const errors: FieldError[] = [];
  const type = text(profile['type']);
  const local = profile['localhostProfile'] as string | null | undefined;
  switch (type) {
    case 'Localhost':
      if (!isSet(local))
        errors.push(
          fieldError.required(path.child('localhostProfile'), 'must be set when AppArmor type is Localhost'),
        );
      else {
        const trimmed = local.trim();
        if (trimmed !== local)
          errors.push(
            fieldError.invalid(path.child('localhostProfile'), local, 'must not be padded with whitespace'),
          );
        else if (trimmed === '')
          errors.push(
            fieldError.required(
              path.child('localhostProfile'),
              'must be set when AppArmor type is Localhost',
            ),
          );
        if (local.length > 4095) errors.push(fieldError.tooLong(path.child('localhostProfile'), 4095));
      }
      break;
    case 'RuntimeDefault':
    case 'Unconfined':
      if (isSet(local))
        errors.push(
          fieldError.invalid(
            path.child('localhostProfile'),
            local,
            'can only be set when AppArmor type is Localhost',
          ),
        );
      break;
    case '':
      errors.push(fieldError.required(path.child('type'), 'type is required when appArmorProfile is set'));
      break;
    default:
      errors.push(
        fieldError.notSupported(path.child('type'), type, ['Localhost', 'RuntimeDefault', 'Unconfined']),
      );
  }
  return errors;
}

/** spec.securityContext of a pod; with the members of the spec that upstream keeps there. `path` is that of the spec. */
export function validatePodSecurityContext(spec: Json, specPath: FieldPath): FieldError[] {
  const context = (spec['securityContext'] ?? {}) as Json;
  const path = specPath.child('securityContext');
  const errors: FieldError[] = [];
  errors.push(...validateId(context['fsGroup'], path.child('fsGroup')));
  errors.push(...validateId(context['runAsUser'], path.child('runAsUser')));
  errors.push(...validateId(context['runAsGroup'], path.child('runAsGroup')));
  list(context['supplementalGroups']).forEach((group, index) => {
    errors.push(...validateId(group, path.child('supplementalGroups').index(index)));
  });
  if (spec['shareProcessNamespace'] === true && spec['hostPID'] === true)
    errors.push(
      fieldError.invalid(
        path.child('shareProcessNamespace'),
        true,
        'ShareProcessNamespace and HostPID cannot both be enabled',
      ),
    );
  errors.push(...validateSysctls(context, spec, path.child('sysctls')));
  if (isSet(context['fsGroupChangePolicy']))
    errors.push(
      ...oneOf(path.child('fsGroupChangePolicy'), context['fsGroupChangePolicy'], [
        'Always',
        'OnRootMismatch',
      ]),
    );
  errors.push(...validateSeccompProfile(context['seccompProfile'], path.child('seccompProfile')));
  errors.push(...validateWindowsOptions(context['windowsOptions'], path.child('windowsOptions')));
  errors.push(...validateAppArmorProfile(context['appArmorProfile'], path.child('appArmorProfile')));
  if (isSet(context['supplementalGroupsPolicy']))
    errors.push(
      ...oneOf(path.child('supplementalGroupsPolicy'), context['supplementalGroupsPolicy'], [
        'Merge',
        'Strict',
      ]),
    );
  // Without the gate SELinuxMount there is only one.
  if (isSet(context['seLinuxChangePolicy']))
    errors.push(...oneOf(path.child('seLinuxChangePolicy'), context['seLinuxChangePolicy'], ['Recursive']));
  return errors;
}

/** securityContext of a container. */
export function validateSecurityContext(
  context: Json | null | undefined,
  path: FieldPath,
  hostUsers: boolean,
): FieldError[] {
  if (!isSet(context)) return [];
  const errors: FieldError[] = [];
  errors.push(...validateId(context['runAsUser'], path.child('runAsUser')));
  errors.push(...validateId(context['runAsGroup'], path.child('runAsGroup')));
  if (isSet(context['procMount'])) {
    errors.push(...oneOf(path.child('procMount'), context['procMount'], ['Default', 'Unmasked']));
    if (hostUsers && context['procMount'] === 'Unmasked')
      errors.push(
        fieldError.invalid(
          path.child('procMount'),
          context['procMount'],
          '`hostUsers` must be false to use `Unmasked`',
        ),
      );
  }
  errors.push(...validateSeccompProfile(context['seccompProfile'], path.child('seccompProfile')));
  if (context['allowPrivilegeEscalation'] === false) {
    const whole = (): string => internalText('SecurityContext', context);
    const invalid = (detail: string): FieldError => ({
      type: 'FieldValueInvalid',
      field: path.toString(),
      message: `Invalid value: ${whole()}: ${detail}`,
    });
    if (context['privileged'] === true)
      errors.push(invalid('cannot set `allowPrivilegeEscalation` to false and `privileged` to true'));
    if (list(context['capabilities']?.add).includes('CAP_SYS_ADMIN'))
      errors.push(
        invalid('cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN'),
      );
  }
  errors.push(...validateWindowsOptions(context['windowsOptions'], path.child('windowsOptions')));
  errors.push(...validateAppArmorProfile(context['appArmorProfile'], path.child('appArmorProfile')));
  return errors;
}
