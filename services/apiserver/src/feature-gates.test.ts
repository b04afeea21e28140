import assert from 'node:assert/strict';
import { test } from 'node:test';
import { builtinResources } from '@pilothouse/api';
import { featureGateOverrides } from './feature-gates.ts';
import { servedBy } from './served-resources.ts';

const own = new Set(['OwnGate']);

test('gates by name win over those of a stage; unknown and locked ones are refused', () => {
  const overrides = featureGateOverrides(
    { AllAlpha: true, APIServingWithRoutine: false, OwnGate: true },
    own,
  );
  assert.equal(overrides['APIServingWithRoutine'], false);
  assert.equal(overrides['VolumeLimitScaling'], true);
  assert.equal(overrides['OwnGate'], true);
  assert.equal(overrides['APIServerIdentity'], undefined, 'a beta gate');
  assert.throws(() => featureGateOverrides({ Foo: true }, own), /unrecognized feature gate: Foo/);
  assert.throws(
    () => featureGateOverrides({ APIServerTracing: false }, own),
    /cannot set feature gate APIServerTracing to false, feature is locked to true/,
  );
  assert.deepEqual(featureGateOverrides({ APIServerTracing: true }, own), { APIServerTracing: true });
});

test('--runtime-config names things that exist', () => {
  const served = (config: Record<string, string>): ReturnType<typeof servedBy> =>
    servedBy(config, () => true);
  assert.throws(() => served({ 'api/all': 'false' }), /api\/all=false alone/);
  assert.throws(() => served({ 'foo.example.com/v1': 'true' }), /unknown api groups foo\.example\.com\/v1/);
  assert.throws(() => served({ 'apps/v9': 'true' }), /group version apps\/v9 that has not been registered/);
  assert.throws(() => served({ 'apps/v1/Deployments': 'false' }), /lower-case/);
  assert.throws(() => served({ apps: 'true' }), /Invalid key "apps"/);
  const isServed = served({ 'apps/v1/deployments': 'false', 'api/beta': 'true', v1: 'true' });
  const find = (plural: string) =>
    builtinResources.find((each) => each.group === 'apps' && each.plural === plural);
  assert.equal(isServed(find('deployments') as never), false);
  assert.equal(isServed(find('daemonsets') as never), true);
  const alpha = builtinResources.filter(({ version }) => version.includes('alpha'));
  assert.ok(alpha.length > 0 && alpha.every((each) => !served({})(each)), 'no alpha version by default');
});
