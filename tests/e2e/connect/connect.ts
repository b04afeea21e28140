import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Checks } from '../checks.ts';
import { expectResult, run } from '../checks.ts';
import type { Plane } from '../plane.ts';
import { startPlane } from '../plane.ts';
import type { Tools } from '../tools.ts';
import { buildGoProgram, repository } from '../tools.ts';
import { javascriptClient } from './javascript.ts';
import type { Session } from './kubectl.ts';
import { commands, kubectlOf, logs, web } from './kubectl.ts';
import { connectManifests } from './manifests.ts';
import { refusals } from './refusals.ts';

const namespace = 'connect';

/**
 * Logs, exec, attach, cp, port-forward, debug and proxying on pods that run as processes, with kubectl and the clients of three languages, through
 * the balancer and through each API server alone (quick: the balancer only), while one of them is killed, and after a node agent was killed.
 */
export async function connect(checks: Checks, tools: Tools, port: number, isQuick: boolean): Promise<void> {
  const plane = await startPlane({ port, args: ['--runtime', 'process', '--nodes', '2'] });
  process.stdout.write(`The plane was ready after ${plane.readySeconds.toFixed(1)} s\n`);
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-connect-'));
  try {
    const session = { kubectl: tools.kubectl, kubeconfig: plane.kubeconfig, namespace };
    if (!(await prepare(checks, session))) return;
    const stream = await buildGoProgram('stream');
    const replicas = (await plane.status()).processes.filter((each) => each.component === 'apiserver');
    const ways = [
      { label: 'balancer', kubeconfig: plane.kubeconfig },
      ...(isQuick ? [] : replicas).map(({ name, address }) => {
        const kubeconfig = path.join(scratch, `${name}.yaml`);
        writeFileSync(
          kubeconfig,
          readFileSync(plane.kubeconfig, 'utf8').replace(plane.server, `https://${address}`),
          { mode: 0o600 },
        );
        return { label: name, kubeconfig };
      }),
    ];
    for (const { label, kubeconfig } of ways) {
      const through = { ...session, kubeconfig };
      await logs(checks, label, through);
      await commands(checks, label, through);
      await web(checks, label, through);
      await javascriptClient(checks, label, kubeconfig, namespace);
      if (stream !== undefined) await program(checks, `${label} client-go`, stream, [kubeconfig, namespace]);
      if (tools.python !== undefined) {
        const file = path.join(repository, 'tests', 'e2e', 'clients', 'python', 'stream.py');
        await program(checks, `${label} python`, tools.python, [file, kubeconfig, namespace]);
      }
    }
    await refusals(checks, plane, session);
    await killedReplica(checks, plane, session);
    await killedAgent(checks, plane, session);
    await graceful(checks, session);
  } finally {
    await plane.stop();
    rmSync(scratch, { recursive: true, force: true });
  }
  await checks.check('the end of the plane is the end of its processes', async () => {
    const left = await run('sh', [
      '-c',
      `ps -eo args | grep -c "[s]him-main.*${path.basename(plane.dataDir)}" || true`,
    ]);
    if (left.stdout.trim() !== '0') throw new Error(`${left.stdout.trim()} guards are left`);
  });
}

async function prepare(checks: Checks, session: Session): Promise<boolean> {
  const kubectl = kubectlOf(session);
  await kubectl(['create', 'namespace', namespace]);
  return checks.check('pods run as processes and become ready', async () => {
    const applied = await run(
      session.kubectl,
      ['--kubeconfig', session.kubeconfig, '-n', namespace, 'apply', '-f', '-'],
      { input: connectManifests(), timeoutMs: 120_000 },
    );
    expectResult('apply', applied, {});
    expectResult(
      'ready',
      await kubectl(['wait', 'pod/talker', 'pod/listener', '--for=condition=Ready', '--timeout=100s']),
      {},
    );
    expectResult('web', await kubectl(['rollout', 'status', 'deployment/web', '--timeout=100s']), {});
    expectResult(
      'finished',
      await kubectl(['wait', 'pod/finisher', '--for=jsonpath={.status.phase}=Succeeded', '--timeout=100s']),
      {},
    );
    const reason = '--for=jsonpath={.status.containerStatuses[0].state.waiting.reason}=CrashLoopBackOff';
    expectResult('crash loop', await kubectl(['wait', 'pod/crasher', reason, '--timeout=100s']), {});
  });
}

/** A program that prints a line for each of its own checks. */
async function program(checks: Checks, label: string, file: string, args: readonly string[]): Promise<void> {
  await checks.check(`${label}: exec, attach, port-forward`, async () => {
    const result = await run(file, args, { timeoutMs: 240_000 });
    expectResult(label, result, { matches: [/^ok/m], lacks: [/^FAIL/m] });
  });
}

async function killedReplica(checks: Checks, plane: Plane, session: Session): Promise<void> {
  const kubectl = kubectlOf(session);
  await checks.check('while API servers are killed one by one, new streams work', async () => {
    for (const victim of (await plane.status()).processes.filter((each) => each.component === 'apiserver')) {
      process.kill(victim.pid, 'SIGKILL');
      for (let count = 0; count < 3; count++)
        expectResult('exec', await kubectl(['exec', 'talker', '-c', 'main', '--', 'echo', 'still here']), {
          matches: [/^still here\n$/],
        });
      expectResult('logs', await kubectl(['logs', 'talker', '-c', 'main', '--tail=1']), {
        matches: [/tick/],
      });
    }
  });
}

async function killedAgent(checks: Checks, plane: Plane, session: Session): Promise<void> {
  const kubectl = kubectlOf(session);
  const field = async (jsonPath: string): Promise<string> =>
    (await kubectl(['get', 'pod', 'talker', '-o', `jsonpath=${jsonPath}`])).stdout;
  const node = await field('{.spec.nodeName}');
  const before = await field('{.status.containerStatuses[*].containerID}');
  const victim = (await plane.status()).processes.find((each) => each.name === node);
  if (victim) process.kill(victim.pid, 'SIGKILL');
  await checks.check(
    'a node agent that was killed goes on with the containers that still run',
    async () => {
      const now = (await plane.status()).processes.find((each) => each.name === node);
      if (now === undefined || now.pid === victim?.pid) throw new Error('the agent is not back');
      expectResult('exec', await kubectl(['exec', 'talker', '-c', 'main', '--', 'echo', 'again']), {
        matches: [/again/],
      });
      const after = await field('{.status.containerStatuses[*].containerID}');
      if (after !== before) throw new Error(`other containers run: ${before} before, ${after} now`);
      if ((await field('{.status.containerStatuses[*].restartCount}')) !== '0 0')
        throw new Error('it restarted');
      const logged = (await kubectl(['logs', 'talker', '-c', 'main'])).stdout;
      const ticks = [...logged.matchAll(/tick (\d+)/g)].map((each) => Number(each[1]));
      if (ticks.some((each, index) => each !== index))
        throw new Error(`lines are missing: ${ticks.join(' ')}`);
    },
    20_000,
  );
}

async function graceful(checks: Checks, session: Session): Promise<void> {
  const kubectl = kubectlOf(session);
  await checks.check('a deleted pod runs its hook, gets SIGTERM, and ends with what it wrote', async () => {
    const file = path.join(mkdtempSync(path.join(os.tmpdir(), 'pilothouse-grace-')), 'witness');
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'graceful' },
      spec: {
        terminationGracePeriodSeconds: 10,
        containers: [
          {
            name: 'main',
            image: 'host',
            command: ['sh', '-c', `trap 'echo term >> ${file}; exit 0' TERM; while true; do sleep 0.1; done`],
            lifecycle: {
              postStart: { exec: { command: ['sh', '-c', `echo started >> ${file}`] } },
              preStop: { exec: { command: ['sh', '-c', `echo stopping >> ${file}`] } },
            },
          },
        ],
      },
    });
    await run(session.kubectl, ['--kubeconfig', session.kubeconfig, '-n', namespace, 'apply', '-f', '-'], {
      input: manifest,
    });
    await kubectl(['wait', 'pod/graceful', '--for=condition=Ready', '--timeout=60s']);
    expectResult('delete', await kubectl(['delete', 'pod', 'graceful', '--timeout=60s']), {});
    const seen = readFileSync(file, 'utf8');
    rmSync(path.dirname(file), { recursive: true });
    if (seen !== 'started\nstopping\nterm\n') throw new Error(JSON.stringify(seen));
  });
}
