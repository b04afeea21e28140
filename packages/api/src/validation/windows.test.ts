import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FieldPath } from '@pilothouse/apimachinery';
import { validateHostProcess, validateWindowsOptions } from './windows.ts';

const faults = (options: object): string[] =>
  validateWindowsOptions(options as never, new FieldPath('w')).map(
    ({ field, message }) => `${field}: ${message}`,
  );

test('names of Windows users', () => {
  for (const good of ['user', 'NT AUTHORITY\\SYSTEM', 'a.b-c.example\\user', 'x'.repeat(104)])
    assert.deepEqual(faults({ runAsUserName: good }), [], good);
  for (const [bad, ...texts] of [
    ['', 'runAsUserName cannot be an empty string'],
    ['a\tb', 'runAsUserName cannot contain control characters'],
    ['a\\b\\c', 'runAsUserName cannot contain more than one backslash'],
    ['\\b', "runAsUserName's Domain doesn't match the NetBios nor the DNS format"],
    ['.a\\b', "runAsUserName's Domain doesn't match the NetBios nor the DNS format"],
    ['a\\', "runAsUserName's User cannot be empty"],
    ['x'.repeat(105), "runAsUserName's User length must not be longer than 104 characters"],
    ['. .', "runAsUserName's User cannot contain only periods or spaces"],
    ['a@b', `runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`],
  ] as const)
    assert.deepEqual(
      faults({ runAsUserName: bad }),
      texts.map((text) => `w.runAsUserName: Invalid value: ${JSON.stringify(bad)}: ${text}`),
    );
});

test('names and texts of credential specs', () => {
  assert.match(faults({ gmsaCredentialSpecName: 'No Name' }).join(), /a lowercase RFC 1123 subdomain/);
  assert.match(faults({ gmsaCredentialSpecName: '' }).join(), /a lowercase RFC 1123 subdomain/);
  assert.match(faults({ gmsaCredentialSpec: '' }).join(), /gmsaCredentialSpec cannot be an empty string/);
  assert.match(faults({ gmsaCredentialSpec: 'ü'.repeat(40_000) }).join(), /size must be under 64 KiB/);
});

test('containers of a host are all of a pod or none, and on its network', () => {
  const check = (spec: object): string[] =>
    validateHostProcess(spec as never, new FieldPath('spec')).map(
      ({ field, message }) => `${field}: ${message}`,
    );
  const hostProcess = (value: boolean): object => ({
    securityContext: { windowsOptions: { hostProcess: value } },
  });
  assert.deepEqual(check({ hostNetwork: true, ...hostProcess(true), containers: [{}, {}] }), []);
  assert.deepEqual(check({ ...hostProcess(false), containers: [{}] }), []);
  assert.deepEqual(check({ initContainers: [{}], containers: [hostProcess(true)] }), [
    'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers',
    'spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers',
  ]);
  assert.deepEqual(check({ hostNetwork: true, ...hostProcess(true), containers: [{}, hostProcess(false)] }), [
    'spec.containers[1].securityContext.windowsOptions.hostProcess: Invalid value: false: pod hostProcess value must be identical if both are specified, was true',
    'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers',
  ]);
});
