import path from 'node:path';
import type { Checks } from '../checks.ts';
import { expectResult } from '../checks.ts';
import { commandWith, findProgram } from '../clients/suite.ts';
import { startPlane } from '../plane.ts';
import { repository } from '../tools.ts';
import { certManagerMode } from './cert-manager.ts';

const chart = path.join(repository, 'deploy', 'helm', 'pilothouse');
const namespace = 'inner';

/** Our own chart on our own plane: schema, install with every pod Ready, test, upgrade, refusals, rollback, uninstall. */
export async function helmChart(checks: Checks, port: number): Promise<void> {
  const plane = await startPlane({
    port,
    args: ['--members=1', '--replicas=2', '--schedulers=1', '--controller-managers=1', '--local-storage'],
  });
  process.stdout.write(`The plane was ready after ${plane.readySeconds.toFixed(1)} s\n`);
  const home = {
    HELM_CACHE_HOME: plane.dataDir,
    HELM_CONFIG_HOME: plane.dataDir,
    HELM_DATA_HOME: plane.dataDir,
  };
  const helm = commandWith(findProgram('helm'), plane.kubeconfig);
  const kubectl = commandWith(findProgram('kubectl'), plane.kubeconfig);
  const step = (
    tool: 'helm' | 'kubectl',
    args: string,
    wanted: Parameters<typeof expectResult>[2] = {},
    withinMs = 0,
  ): Promise<boolean> =>
    checks.check(
      `${tool} ${args.replaceAll(repository, '.')}`,
      async () => {
        const all = [...args.split(' '), '-n', namespace];
        const result = await (tool === 'helm' ? helm : kubectl)(all, { env: home, timeoutMs: 150_000 });
        expectResult(args, result, wanted);
      },
      withinMs,
    );
  const allReady = async (): Promise<void> => {
    await step('kubectl', 'wait --for=condition=Ready pod --all --timeout=90s', {
      matches: [/condition met/],
    });
  };
  try {
    await step('helm', `lint ${chart}`, { matches: [/0 chart\(s\) failed/] });
    for (const [set, message] of [
      ['store.replicas=2', /store\/replicas|store\.replicas/],
      ['store.replicsa=3', /replicsa/],
      ['apiServer.extraArgs={oops}', /extraArgs/],
      ['image.digest=latest', /digest/],
      ['certificates.certManager.duration=soon', /duration/],
      ['console.enabld=true', /enabld/],
    ] as const)
      await step('helm', `install x ${chart} --set ${set}`, { code: 1, matches: [message] });

    await checks.check('a namespace that enforces the restricted Pod Security standard', async () => {
      expectResult('create', await kubectl(['create', 'namespace', namespace]), {});
      const label = `pod-security.kubernetes.io/enforce=restricted`;
      expectResult('label', await kubectl(['label', 'namespace', namespace, label]), {});
    });
    await step(
      'helm',
      `install x ${chart} --wait --timeout 120s --set nodes.replicas=1,console.enabled=true`,
      {
        matches: [/STATUS: deployed/, /3 store member\(s\), 3 API server\(s\)/],
        lacks: [/would violate PodSecurity/],
      },
    );
    await allReady();
    await step('kubectl', 'get pvc -o jsonpath={.items[*].status.phase}', {
      matches: [/^Bound Bound Bound$/],
    });
    await step('kubectl', 'get statefulset x-pilothouse-store -o jsonpath={.status.readyReplicas}', {
      matches: [/^3$/],
    });
    await step(
      'kubectl',
      'get pdb x-pilothouse-store -o jsonpath={.status.disruptionsAllowed}',
      { matches: [/^1$/] },
      10_000,
    );
    await step('kubectl', 'get deployment x-pilothouse-console -o jsonpath={.status.readyReplicas}', {
      matches: [/^1$/],
    });
    await step('helm', 'test x --timeout 60s', { matches: [/Phase:\s+Succeeded/] });

    for (const replicas of [1, 5])
      await step('helm', `upgrade x ${chart} --reuse-values --set store.replicas=${replicas}`, {
        code: 1,
        matches: [/members join and leave one at a time/],
      });
    await step(
      'helm',
      `upgrade x ${chart} --reuse-values --set store.podAnnotations.turn=two,apiServer.replicas=2 --wait --timeout 150s`,
      { matches: [/REVISION: 2/] },
    );
    await step(
      'kubectl',
      'get pods -l app.kubernetes.io/component=store -o jsonpath={.items[*].metadata.annotations.turn}',
      {
        matches: [/^two two two$/],
      },
      60_000,
    );
    await allReady();
    await step('helm', 'rollback x 1 --wait --timeout 150s', { matches: [/Rollback was a success/] });
    await step('kubectl', 'get deployment x-pilothouse-apiserver -o jsonpath={.spec.replicas}', {
      matches: [/^3$/],
    });
    await allReady();
    await step('helm', 'uninstall x --wait --timeout 60s', { matches: [/uninstalled/] });
    // Data outlives the release on purpose; deleting the claims deletes the volumes.
    await step('kubectl', 'delete pvc --all --wait=false', { matches: [/deleted/] });
    await step('kubectl', 'get pv -o name', { matches: [/^$/] }, 20_000);
    await certManagerMode(checks, chart, helm, kubectl, home);
  } finally {
    await plane.stop();
  }
}
