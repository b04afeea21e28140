import type { FieldError, FieldPath } from '@pilothouse/apimachinery';
import { fieldError } from '@pilothouse/apimachinery';
import { byteLength, isDns1123Subdomain } from './names.ts';
import type { Json } from './values.ts';
import { isSet, list, problems } from './values.ts';

const credentialSpecBytesMax = 64 * 1024;
const domainLengthMax = 255;
const userLengthMax = 104;

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const control = /[\u0000-\u001f\u007f]/;
const netBios = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/u;
const dnsLabel = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const dnsName = new RegExp(`^${dnsLabel}(?:\\.${dnsLabel})*$`);

/** securityContext.windowsOptions of a pod or container. */
export function validateWindowsOptions(options: Json | null | undefined, path: FieldPath): FieldError[] {
  if (!isSet(options)) return [];
  const errors: FieldError[] = [];
  const name = options['gmsaCredentialSpecName'] as string | null | undefined;
  if (isSet(name))
    errors.push(...problems(path.child('gmsaCredentialSpecName'), name, isDns1123Subdomain(name)));
  const spec = options['gmsaCredentialSpec'] as string | null | undefined;
  if (isSet(spec)) {
    const at = path.child('gmsaCredentialSpec');
    if (spec.length === 0)
      errors.push(fieldError.invalid(at, spec, 'gmsaCredentialSpec cannot be an empty string'));
    else if (byteLength(spec) > credentialSpecBytesMax)
      errors.push(fieldError.invalid(at, spec, 'gmsaCredentialSpec size must be under 64 KiB'));
  }
  const user = options['runAsUserName'] as string | null | undefined;
  if (isSet(user))
    for (const fault of userFaults(user))
      errors.push(fieldError.invalid(path.child('runAsUserName'), user, fault));
  return errors;
}

/** What is wrong with `user` or `DOMAIN\user`. */
function userFaults(name: string): string[] {
  if (name === '') return ['runAsUserName cannot be an empty string'];
  if (control.test(name)) return ['runAsUserName cannot contain control characters'];
  const parts = name.split('\\');
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const user = parts.at(-1) ?? '';
  const domain = parts.length === 2 ? parts[0] : undefined;
  const faults: string[] = [];
  if (domain !== undefined) {
    if (byteLength(domain) > domainLengthMax)
      faults.push(`runAsUserName's Domain length must be under ${domainLengthMax + 1} characters`);
    if (!netBios.test(domain) && !dnsName.test(domain))
      faults.push("runAsUserName's Domain doesn't match the NetBios nor the DNS format");
  }
  if (user === '') faults.push("runAsUserName's User cannot be empty");
  else if (byteLength(user) > userLengthMax)
    faults.push(`runAsUserName's User length must not be longer than ${userLengthMax} characters`);
  if (/^[. ]+$/.test(user)) faults.push("runAsUserName's User cannot contain only periods or spaces");
  if (/["/\\:;|=,+*?<>@[\]]/.test(user))
    faults.push(`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`);
  return faults;
}

/** Containers that are processes of a Windows host: all of a pod, or none, and on its network. */
export function validateHostProcess(spec: Json, path: FieldPath): FieldError[] {
  const ofPod = hostProcessOf(spec);
  const errors: FieldError[] = [];
  for (const member of containerLists)
    list(spec[member]).forEach((container: Json, index) => {
      const own = hostProcessOf(container);
      if (own === undefined || ofPod === undefined || own === ofPod) return;
      errors.push(
        fieldError.invalid(
          path
            .child(member)
            .index(index)
            .child('securityContext')
            .child('windowsOptions')
            .child('hostProcess'),
          own,
          `pod hostProcess value must be identical if both are specified, was ${ofPod}`,
        ),
      );
    });
  const { all, hostProcesses } = countHostProcesses(spec);
  if (hostProcesses === 0) return errors;
  if (hostProcesses !== all)
    errors.push(
      fieldError.invalid(
        path,
        '',
        'If pod contains any hostProcess containers then all containers must be HostProcess containers',
      ),
    );
  if (spec['hostNetwork'] !== true)
    errors.push(
      fieldError.invalid(
        path.child('hostNetwork'),
        false,
        'hostNetwork must be true if pod contains any hostProcess containers',
      ),
    );
  return errors;
}

/** Whether some container is a process of its host. */
export function hasHostProcess(spec: Json): boolean {
  return countHostProcesses(spec).hostProcesses > 0;
}

const containerLists = ['initContainers', 'containers', 'ephemeralContainers'] as const;

function countHostProcesses(spec: Json): { all: number; hostProcesses: number } {
  const containers = containerLists.flatMap((member) => list(spec[member]) as Json[]);
  const ofPod = hostProcessOf(spec);
  return {
    all: containers.length,
    hostProcesses: containers.filter((container) => hostProcessOf(container) ?? ofPod ?? false).length,
  };
}

function hostProcessOf(holder: Json): boolean | undefined {
  return (holder['securityContext']?.windowsOptions?.hostProcess ?? undefined) as boolean | undefined;
}
