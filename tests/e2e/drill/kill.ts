import { createHttp2Transport, loadKubeconfig, RestClient } from '@pilothouse/client';
import { nodeClock } from '@pilothouse/host';
import { startPlane } from '../plane.ts';
import type { Plane, ProcessStatus } from '../plane.ts';

const configMaps = { group: '', version: 'v1', resource: 'configmaps' } as const;
const deployments = { group: 'apps', version: 'v1', resource: 'deployments' } as const;

/** One write or read of the load, in milliseconds since the drill began. */
interface Operation {
  readonly endMs: number;
  readonly ok: boolean;
}

/** Creates and reads ConfigMaps as fast as they are answered, remembering every acknowledged one. */
export class Load {
  readonly acknowledged = new Map<string, string>();
  readonly writes: Operation[] = [];
  readonly reads: Operation[] = [];
  readonly wrongReads: string[] = [];
  readonly #client: RestClient;
  readonly #namespace: string;
  #stopped = false;
  #tasks: Promise<void>[] = [];

  constructor(client: RestClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  start(): void {
    for (let worker = 0; worker < 4; worker++) this.#tasks.push(this.#write(worker), this.#read());
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#tasks);
  }

  async #write(worker: number): Promise<void> {
    for (let number = 0; !this.#stopped; number++) {
      const name = `w${worker}-${number}`;
      const value = `${worker}/${number}`;
      let ok = true;
      try {
        await this.#client.create(configMaps, {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name, namespace: this.#namespace },
          data: { value },
        });
        this.acknowledged.set(name, value);
      } catch {
        ok = false;
        await pause(20);
      }
      this.writes.push({ endMs: nodeClock.monotonic(), ok });
    }
  }

  async #read(): Promise<void> {
    let turn = 0;
    while (!this.#stopped) {
      const names = [...this.acknowledged.keys()];
      const name = names[turn++ % Math.max(1, names.length)];
      if (name === undefined) {
        await pause(5);
        continue;
      }
      let ok = true;
      try {
        const read = await this.#client.get(configMaps, name, { namespace: this.#namespace });
        if (read['data']?.value !== this.acknowledged.get(name)) this.wrongReads.push(name);
      } catch (error) {
        // An acknowledged object that is not found is the one thing that must never happen.
        if ((error as { reason?: string }).reason === 'NotFound') this.wrongReads.push(name);
        ok = false;
        await pause(10);
      }
      this.reads.push({ endMs: nodeClock.monotonic(), ok });
    }
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The longest stretch without a success that touches [fromMs, toMs]. */
export function longestGap(operations: readonly Operation[], fromMs: number, toMs: number): number {
  const times = operations
    .filter((each) => each.ok && each.endMs >= fromMs - 1000 && each.endMs <= toMs)
    .map((each) => each.endMs);
  times.sort((a, b) => a - b);
  let longest = 0;
  for (let index = 1; index < times.length; index++) {
    if ((times[index] as number) >= fromMs)
      longest = Math.max(longest, (times[index] as number) - (times[index - 1] as number));
  }
  return times.length < 2 ? Infinity : longest;
}

/** Kills one process of each role in turn while clients write and read, and tells what they noticed. False when anything was lost. */
export async function killDrill(port: number): Promise<boolean> {
  process.stdout.write('Starting a plane …\n');
  const plane = await startPlane({ port });
  process.stdout.write(`Ready after ${plane.readySeconds.toFixed(1)} s\n`);
  try {
    return await drill(plane);
  } finally {
    await plane.stop();
  }
}

async function drill(plane: Plane): Promise<boolean> {
  const transport = createHttp2Transport(loadKubeconfig(plane.kubeconfig), nodeClock);
  const client = new RestClient(transport, { clock: nodeClock, userAgent: 'pilothouse-kill-drill' });
  const namespace = 'kill-drill';
  await client.create(
    { group: '', version: 'v1', resource: 'namespaces' },
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
  );
  const load = new Load(client, namespace);
  load.start();
  await pause(3000);
  const find = async (component: string, role?: string): Promise<ProcessStatus | undefined> => {
    const { processes } = await plane.status();
    return processes.find(
      (each) => each.component === component && (role === undefined || each.role === role),
    );
  };
  const victims: [title: string, component: string, role?: string][] = [
    ['store leader', 'store', 'leader'],
    ['store follower', 'store', 'follower'],
    ['API server', 'apiserver'],
    ['active scheduler', 'scheduler', 'leader'],
    ['active controller manager', 'controller-manager', 'leader'],
  ];
  const rows: string[][] = [
    ['killed', 'process', 'longest write gap', 'longest read gap', 'failed writes', 'failed reads'],
  ];
  let deploymentCreated = false;
  for (const [title, component, role] of victims) {
    const victim = await find(component, role);
    if (!victim) throw new Error(`No ${title} found`);
    const fromMs = nodeClock.monotonic();
    process.kill(victim.pid, 'SIGKILL');
    if (component === 'scheduler') {
      // Made while nobody schedules: the other scheduler must take over and the deployment become available.
      await client.create(deployments, {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'during', namespace },
        spec: {
          replicas: 3,
          selector: { matchLabels: { app: 'during' } },
          template: {
            metadata: { labels: { app: 'during' } },
            spec: { containers: [{ name: 'c', image: 'nginx' }] },
          },
        },
      });
      deploymentCreated = true;
    }
    await pause(5000);
    const toMs = nodeClock.monotonic();
    const failed = (operations: readonly Operation[]): string =>
      String(operations.filter((each) => !each.ok && each.endMs >= fromMs && each.endMs <= toMs).length);
    rows.push([
      title,
      `${victim.name} (${victim.pid})`,
      `${longestGap(load.writes, fromMs, toMs).toFixed(0)} ms`,
      `${longestGap(load.reads, fromMs, toMs).toFixed(0)} ms`,
      failed(load.writes),
      failed(load.reads),
    ]);
    process.stdout.write(`${rows.at(-1)?.join('   ')}\n`);
  }
  let available = false;
  for (let turn = 0; deploymentCreated && !available && turn < 240; turn++) {
    const deployment = await client.get(deployments, 'during', { namespace });
    available = ((deployment['status']?.conditions ?? []) as { type: string; status: string }[]).some(
      (each) => each.type === 'Available' && each.status === 'True',
    );
    if (!available) await pause(250);
  }
  await load.stop();
  let lost = 0;
  const kept = new Map(
    (await listAll(client, namespace)).map((each) => [
      each.metadata.name ?? '',
      each['data']?.value as string | undefined,
    ]),
  );
  for (const [name, value] of load.acknowledged) if (kept.get(name) !== value) lost++;
  const widths =
    rows[0]?.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length))) ?? [];
  process.stdout.write('\n');
  for (const row of rows)
    process.stdout.write(
      `${row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd()}\n`,
    );
  process.stdout.write(`
acknowledged writes   ${load.acknowledged.size}
lost                  ${lost}
wrong reads           ${load.wrongReads.length}
deployment created during the drill is ${available ? 'Available' : 'NOT available'}
`);
  transport.close();
  const { processes } = await plane.status();
  const back = processes.every((each) => each.ready);
  process.stdout.write(`all processes are back: ${back ? 'yes' : 'no'}\n`);
  return lost === 0 && load.wrongReads.length === 0 && available;
}

async function listAll(client: RestClient, namespace: string) {
  const items = [];
  let token: string | undefined;
  do {
    const page = await client.list(configMaps, {
      namespace,
      limit: 500,
      ...(token === undefined ? {} : { continue: token }),
    });
    items.push(...page.items);
    token = page.metadata.continue;
  } while (token !== undefined && token !== '');
  return items;
}
