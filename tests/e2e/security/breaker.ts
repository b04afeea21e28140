import { readFileSync } from 'node:fs';
import path from 'node:path';
import { run, type Checks, type CommandResult } from '../checks.ts';
import { startAuditedPlane } from './audited-plane.ts';

const policy =
  'apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n';

const configuration = (kind: string, name: string): object => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind,
  metadata: { name },
  webhooks: [
    {
      name: `${name}.example.com`,
      // Nobody listens there.
      clientConfig: { url: 'https://127.0.0.1:9/' },
      rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'] }],
      failurePolicy: 'Fail',
      timeoutSeconds: 2,
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
    },
  ],
});

const podManifest = (name: string): string =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'kube-system' },
    spec: { serviceAccountName: 'default', containers: [{ name: 'c', image: 'registry.k8s.io/pause:3.10' }] },
  });

/** Webhooks for everything that never answer, on a working plane: users are refused at once, the cluster lives, and there is a way back. */
export async function breaker(checks: Checks, port: number, kubectl: string): Promise<void> {
  const { plane, auditLog, remove } = await startAuditedPlane({ port, policy, nodes: 1 });
  const kube = (input: string | undefined, ...args: readonly string[]): Promise<CommandResult> =>
    run(kubectl, ['--kubeconfig', plane.kubeconfig, ...args], {
      timeoutMs: 60_000,
      ...(input === undefined ? {} : { input }),
    });
  const check = (name: string, body: () => Promise<void>, seconds = 0): Promise<boolean> =>
    checks.check(`breaker: ${name}`, body, seconds * 1000);
  const wants = (result: CommandResult, code: number, pattern: RegExp): void => {
    if (result.code !== code || !pattern.test(result.stdout + result.stderr))
      throw new Error(`exit ${result.code}: ${result.stdout}${result.stderr}`);
  };
  const renewed = async (): Promise<string> =>
    (
      await kube(
        undefined,
        'get',
        'lease',
        '-n',
        'kube-node-lease',
        '-o',
        'jsonpath={.items[*].spec.renewTime}',
      )
    ).stdout;
  try {
    await check('webhooks for everything, that nobody answers', async () => {
      const items = [
        configuration('ValidatingWebhookConfiguration', 'dead'),
        configuration('MutatingWebhookConfiguration', 'dead-too'),
      ];
      wants(
        await kube(JSON.stringify({ apiVersion: 'v1', kind: 'List', items }), 'apply', '-f', '-'),
        0,
        /created/,
      );
    });
    const before = await renewed();
    await check('a user is refused', async () =>
      wants(
        await kube(undefined, 'create', 'configmap', 'refused'),
        1,
        /failed calling webhook "dead-too.example.com"/,
      ),
    );
    await check(
      '… at once, when the webhook has failed for long: it is tried once a second',
      async () => {
        const calls = Array.from({ length: 6 }, () => kube(undefined, 'create', 'configmap', 'refused'));
        const texts = (await Promise.all(calls)).map(({ stderr }) => stderr);
        if (!texts.some((text) => /not called, the last \d+ calls failed/.test(text)))
          throw new Error(texts.join(''));
      },
      20,
    );
    await check(
      'the node goes on renewing its lease, and stays ready',
      async () => {
        if ((await renewed()) === before) throw new Error(`still ${before}`);
        wants(await kube(undefined, 'get', 'nodes'), 0, / Ready /);
      },
      40,
    );
    await check('a pod of kube-system is made, scheduled and run, with a warning', async () => {
      const result = await kube(podManifest('vital'), 'apply', '-f', '-');
      wants(result, 0, /Warning: admission webhook .* does not answer and was skipped/);
      wants(
        await kube(
          undefined,
          'wait',
          '-n',
          'kube-system',
          'pod/vital',
          '--for=condition=Ready',
          '--timeout=30s',
        ),
        0,
        /met/,
      );
      wants(await kube(undefined, 'delete', '-n', 'kube-system', 'pod/vital', '--timeout=30s'), 0, /deleted/);
    });
    const glass = ['--as=kubernetes-admin', '--as-group=system:masters', '--as-group=pilothouse:break-glass'];
    await check('who breaks the glass may do all, and is told so', async () =>
      wants(
        await kube(undefined, ...glass, 'create', 'configmap', 'behind-glass'),
        0,
        /Warning: admission webhook/,
      ),
    );
    await check('… which nobody may without the right to that group', async () => {
      wants(await kube(undefined, ...glass, 'create', 'serviceaccount', 'small'), 0, /created/);
      const token = (await kube(undefined, ...glass, 'create', 'token', 'small')).stdout.trim();
      const ca = path.join(plane.dataDir, 'pki', 'ca.crt');
      const result = await run(
        kubectl,
        [
          '--kubeconfig=/dev/null',
          '--server',
          plane.server,
          '--certificate-authority',
          ca,
          '--token',
          token,
          '--as=small',
          '--as-group=pilothouse:break-glass',
          'create',
          'configmap',
          'x',
        ],
        { timeoutMs: 30_000 },
      );
      wants(result, 1, /cannot impersonate/);
    });
    await check('the audit log says what was skipped, and for whom', async () => {
      const lines = readFileSync(auditLog, 'utf8')
        .split('\n')
        .filter((line) => line.includes('behind-glass'));
      if (
        !lines.some(
          (line) =>
            line.includes('breaker.webhook.admission.pilothouse.io/skipped') &&
            line.includes('pilothouse:break-glass'),
        )
      )
        throw new Error(lines.join('\n'));
    });
    await check('the metrics say so too', async () =>
      wants(
        await kube(undefined, 'get', '--raw', '/metrics'),
        0,
        /pilothouse_admission_webhook_dead\{[^}]*\} 1/,
      ),
    );
    await check('the configurations can be deleted without breaking anything', async () =>
      wants(
        await kube(
          undefined,
          'delete',
          'validatingwebhookconfiguration/dead',
          'mutatingwebhookconfiguration/dead-too',
        ),
        0,
        /deleted/,
      ),
    );
    await check(
      'and all is as before',
      async () => wants(await kube(undefined, 'create', 'configmap', 'welcome'), 0, /created/),
      10,
    );
  } finally {
    await plane.stop();
    remove();
  }
}
