import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinResources, earlierGateStates, featureGates } from '@pilothouse/api';
import type { EmulationFlags } from './emulated-release.ts';
import { emulatedRelease, gateAt, minorOfRelease } from './emulated-release.ts';
import { featureGateOverrides } from './feature-gates.ts';
import { servedBy } from './served-resources.ts';

const flags = (emulated: string[], more: Partial<EmulationFlags> = {}): EmulationFlags => ({
  emulated,
  minCompatibility: [],
  forwardCompatible: false,
  runtimeConfigForwardCompatible: false,
  ...more,
});
const refused = (given: EmulationFlags, message: string): void =>
  assert.throws(() => emulatedRelease(given), { message });

test('a release in the last three is taken, others are refused in the words of upstream', () => {
  assert.deepEqual(emulatedRelease(flags([])), { minor: 36, minCompatibility: 35, servesNamed: false });
  assert.deepEqual(emulatedRelease(flags(['kube=1.34'])), {
    minor: 34,
    minCompatibility: 33,
    servesNamed: false,
  });
  assert.equal(emulatedRelease(flags(['v1.33'])).minCompatibility, 33);
  refused(
    flags(['1.30']),
    '[emulation version 1.30 is not between [1.33, 1.36.0], minCompatibilityVersion version 1.33 is not between [1.33, 1.30]]',
  );
  refused(flags(['1.37']), 'emulation version 1.37 is not between [1.33, 1.36.0]');
  refused(flags(['1.35.1']), 'patch version not allowed, got: kube=1.35.1');
  refused(flags(['foo=1.35']), 'component not registered: foo');
  refused(flags(['kube:1.35']), 'could not parse "kube:1.35" as version');
  refused(flags(['1.35', '1.34']), 'duplicate version flag, kube=1.35 and kube=1.34');
  refused(
    flags(['1.34'], { minCompatibility: ['1.35'] }),
    'minCompatibilityVersion version 1.35 is not between [1.33, 1.34]',
  );
  refused(
    flags([], { runtimeConfigForwardCompatible: true }),
    'ServerRunOptions.RuntimeConfigEmulationForwardCompatible cannot be set to true if the emulation version is the same as the binary version',
  );
  assert.throws(() => emulatedRelease(flags([], { minCompatibility: ['1.36'] })), /is not supported/);
  assert.throws(() => emulatedRelease(flags(['1.35'], { forwardCompatible: true })), /is not supported/);
});

test('gates are as they were', () => {
  const at = (emulated: string, given: Record<string, boolean> = {}) =>
    featureGateOverrides(given, new Set(), emulatedRelease(flags([emulated])));
  assert.deepEqual(at('1.36'), {});
  assert.equal(at('1.35')['MutatingAdmissionPolicy'], false);
  assert.equal(at('1.35', { AllBeta: true })['MutatingAdmissionPolicy'], true);
  assert.deepEqual(gateAt('MutatingAdmissionPolicy', 35)?.stage, 'Beta');
  assert.throws(
    () => at('1.33', { CRDObservedGenerationTracking: true }),
    /feature is PreAlpha at emulated version 1\.33, min compatibility version 1\.33/,
  );
  // What was not locked then may be turned off.
  assert.equal(at('1.33', { APIServerTracing: false })['APIServerTracing'], false);
});

test('every gate that changed since the oldest release has its history', () => {
  const changed = Object.entries(featureGates).filter(([, { since }]) => minorOfRelease(since) > 33);
  assert.deepEqual(
    changed.map(([gate]) => gate).filter((gate) => !(gate in earlierGateStates)),
    [],
  );
});

test('resources that came later are not served, and refused by name', () => {
  const policies = builtinResources.find(
    ({ plural, version }) => plural === 'mutatingadmissionpolicies' && version === 'v1',
  );
  assert.ok(policies);
  const served = (emulated: string, config: Record<string, string> = {}, more = {}): boolean =>
    servedBy(config, () => true, emulatedRelease(flags([emulated], more)))(policies);
  assert.equal(served('1.36'), true);
  assert.equal(served('1.35'), false);
  const named = { 'admissionregistration.k8s.io/v1/mutatingadmissionpolicies': 'true' };
  assert.throws(
    () => served('1.35', named),
    /^FlagError: cannot enable resource admissionregistration\.k8s\.io\/v1, Resource=mutatingadmissionpolicies in runtime-config because it is introduced at 1\.36 after the current version 1\.35\./,
  );
  assert.equal(served('1.35', named, { runtimeConfigForwardCompatible: true }), true);
});
