import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPluginConfigs } from './plugin-configs.ts';

const frame = (plugins: object[]): { path: string; text: string } => ({
  path: '/etc/conf/admission.yaml',
  text: JSON.stringify({ apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AdmissionConfiguration', plugins }),
});
const none = (): string => assert.fail('no other file');

test('a part may be in a file of its own, beside the first one; parts of plugins that are off are not looked at', () => {
  const configs = readPluginConfigs(
    frame([
      { name: 'EventRateLimit', configuration: { kind: 'Nonsense' } },
      { name: 'PodNodeSelector', path: 'selectors.yaml' },
    ]),
    ['PodNodeSelector'],
    (file) => {
      assert.equal(file, '/etc/conf/selectors.yaml');
      return 'podNodeSelectorPluginConfig: {ns: a=b}';
    },
  );
  assert.deepEqual(configs, { nodeSelectors: { ns: 'a=b' } });
});

test('the old form without AdmissionConfiguration', () => {
  const file = {
    path: '/x',
    text: 'imagePolicy: {kubeConfigFile: /k, allowTTL: 50, denyTTL: -1, defaultAllow: true}',
  };
  assert.deepEqual(readPluginConfigs(file, ['ImagePolicyWebhook', 'PodNodeSelector'], none), {
    imagePolicy: {
      kubeconfig: '/k',
      allowTtlMs: 50_000,
      denyTtlMs: 0,
      retryBackoffMs: 500,
      defaultAllow: true,
    },
  });
  assert.throws(
    () =>
      readPluginConfigs({ path: '/x', text: 'imagePolicy: {allowTTL: 3600}' }, ['ImagePolicyWebhook'], none),
    /valid value is between 1s and 30m0s/,
  );
});

test('misspelt members, unknown plugins of a document and other kinds are told', () => {
  const quota = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'ResourceQuotaConfiguration' };
  const read = (configuration: object, name = 'ResourceQuota') =>
    readPluginConfigs(frame([{ name, configuration }]), [name], none);
  assert.throws(
    () => read({ ...quota, limitedResource: [] }),
    /couldn't init admission plugin "ResourceQuota": strict decoding error: unknown field "limitedResource"/,
  );
  assert.throws(
    () => read({ ...quota, limitedResources: [{}] }),
    /limitedResources\[0\].resource: Required value/,
  );
  assert.throws(() => read(quota, 'PodSecurity'), /no kind "ResourceQuotaConfiguration"/);
  assert.throws(
    () => readPluginConfigs({ path: '/x', text: 'a: b' }, [], none),
    /failed to read plugin config/,
  );
  assert.deepEqual(
    read({
      apiVersion: 'resourcequota.admission.k8s.io/v1beta1',
      kind: 'Configuration',
      limitedResources: [{ resource: 'pods', matchContains: ['cpu'] }],
    }),
    {
      limitedResources: [{ apiGroup: '', resource: 'pods', matchContains: ['cpu'], matchScopes: [] }],
    },
  );
});

test('exemptions of PodSecurity are checked one by one', () => {
  const configuration = {
    apiVersion: 'pod-security.admission.config.k8s.io/v1',
    kind: 'PodSecurityConfiguration',
    exemptions: { namespaces: ['A', 'b', 'b'], usernames: [''] },
  };
  assert.throws(
    () => readPluginConfigs(frame([{ name: 'PodSecurity', configuration }]), ['PodSecurity'], none),
    (error: Error) =>
      /exemptions.namespaces\[0\]: Invalid value: "A"/.test(error.message) &&
      /exemptions.namespaces\[2\]: Duplicate value: "b"/.test(error.message) &&
      /exemptions.usernames\[0\]: Invalid value: "": username must not be empty/.test(error.message),
  );
});
