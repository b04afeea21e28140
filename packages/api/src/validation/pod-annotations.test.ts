import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FieldError } from '@pilothouse/apimachinery';
import { FieldPath } from '@pilothouse/apimachinery';
import {
  validatePodAnnotationChange,
  validatePodAnnotations,
  validateProfilesMatch,
} from './pod-annotations.ts';

const path = new FieldPath('metadata.annotations');
const texts = (errors: readonly FieldError[]): string[] =>
  errors.map(({ field, message }) => `${field}: ${message}`);
const check = (annotations: Record<string, string>, spec: object = {}, old?: Record<string, string>) =>
  texts(validatePodAnnotations(annotations, { containers: [{ name: 'c' }], ...spec } as never, path, old));

test('annotations that mean something have to make sense', () => {
  const cost = 'controller.kubernetes.io/pod-deletion-cost';
  for (const good of ['0', '-1', '2147483647']) assert.deepEqual(check({ [cost]: good }), [], good);
  for (const bad of ['', '+1', '01', 'x', '2147483648'])
    assert.deepEqual(
      check({ [cost]: bad }),
      [`metadata.annotations[${cost}]: Invalid value: ${JSON.stringify(bad)}: must be a 32bit integer`],
      bad,
    );
  assert.deepEqual(check({ [cost]: 'x' }, {}, { [cost]: 'y' }), []);
  const mirror = 'kubernetes.io/config.mirror';
  assert.match(check({ [mirror]: 'm' }).join(), /must set spec.nodeName if mirror pod annotation is set/);
  assert.deepEqual(check({ [mirror]: 'm' }, { nodeName: 'n' }), []);
  const appArmor = 'container.apparmor.security.beta.kubernetes.io/';
  assert.deepEqual(check({ [`${appArmor}c`]: 'localhost/x' }), []);
  assert.deepEqual(check({ [`${appArmor}d`]: 'bogus' }), [
    `metadata.annotations[${appArmor}d]: Invalid value: "d": container not found`,
    `metadata.annotations[${appArmor}d]: Invalid value: "bogus": invalid AppArmor profile name: "bogus"`,
  ]);
  assert.match(
    check({ 'container.seccomp.security.alpha.kubernetes.io/c': 'bogus' }).join(),
    /must be a valid seccomp profile/,
  );
  assert.notDeepEqual(check({ 'scheduler.alpha.kubernetes.io/tolerations': '[{"operator":"Bogus"}]' }), []);
});

test('an update keeps what made a pod a mirror, and its AppArmor annotations', () => {
  const mirror = { 'kubernetes.io/config.mirror': 'm' };
  const appArmor = { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' };
  const change = (now: object, old: object): string[] =>
    texts(validatePodAnnotationChange(now as never, old as never, path));
  assert.match(change(mirror, {}).join(), /may not add mirror pod annotation/);
  assert.match(change({}, mirror).join(), /may not remove or update mirror pod annotation/);
  assert.match(change(appArmor, {}).join(), /may not add AppArmor annotations/);
  assert.match(
    change({ 'container.apparmor.security.beta.kubernetes.io/c': '' }, appArmor).join(),
    /may not remove or update AppArmor annotations/,
  );
  assert.deepEqual(change({ ...mirror, a: 'c' }, { ...mirror, a: 'b' }), []);
});

test('annotations and fields of a new pod name the same profiles', () => {
  const match = (annotations: Record<string, string>, spec: object): string[] =>
    texts(validateProfilesMatch(annotations, spec as never, new FieldPath('spec')));
  const seccomp = 'seccomp.security.alpha.kubernetes.io/pod';
  const pod = (type: string, localhostProfile?: string): object => ({
    securityContext: { seccompProfile: { type, localhostProfile } },
  });
  for (const [annotation, spec] of [
    ['docker/default', pod('RuntimeDefault')],
    ['unconfined', pod('Unconfined')],
    ['localhost/a', pod('Localhost', 'a')],
    ['anything', {}],
  ] as const)
    assert.deepEqual(match({ [seccomp]: annotation }, spec), []);
  assert.deepEqual(match({ [seccomp]: 'unconfined' }, pod('RuntimeDefault')), [
    'spec.securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match',
  ]);
  assert.deepEqual(match({ [seccomp]: 'localhost/b' }, pod('Localhost', 'a')), [
    'spec.securityContext.seccompProfile.localhostProfile: Forbidden: seccomp profile in annotation and field must match',
  ]);
  const ofPod = {
    securityContext: { appArmorProfile: { type: 'RuntimeDefault' } },
    containers: [{ name: 'c' }],
  };
  const unconfined = { 'container.apparmor.security.beta.kubernetes.io/c': 'unconfined' };
  assert.deepEqual(match(unconfined, ofPod), [
    'spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match',
  ]);
  assert.deepEqual(match(unconfined, { ...ofPod, os: { name: 'windows' } }), []);
});
