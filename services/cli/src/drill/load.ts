import type { Clock } from '@pilothouse/base';
import { errorMessage, sleep } from '@pilothouse/base';
import type { ClusterAccess } from '@pilothouse/client';
import type { KubeLike } from './connection.ts';
import { Connection, Refused } from './connection.ts';
import type { Acknowledged, History, Operation, Seen, SeenPod } from './model.ts';
import { listAll, Watcher } from './watcher.ts';

/** The load is bounded, so that a drill shows the fault and not a machine at its end. */
export const loadLimits = {
  writers: 4,
  readers: 4,
  watchers: 2,
  /** Pause of a writer or reader after each answer. */
  thinkMs: 4,
  /** After a failure. */
  retryMs: 10,
  /** At least; and so many times what the slowest answer before the fault took, so that a busy machine is not taken for a fault. */
  requestTimeoutMs: 5_000,
  requestTimeoutTimes: 4,
  /** Every so many writes of a writer one makes a new object; the others change its register. */
  createEvery: 4,
  podIntervalMs: 400,
  podLifeMs: 6_000,
  /** Watchers have this long to catch up after the load has ended. */
  settleMs: 20_000,
  /** And pods to run: who held the scheduler's lease may have lost it, and another one waits for its end (15 s) before it begins. */
  podsSettleMs: 60_000,
} as const;

interface Register {
  /** Newest acknowledged value and where it was acknowledged; reads that start later must not show less. */
  value: number;
  resourceVersion: string;
}

/** Writers, readers, watchers and a trickle of pods in a namespace of their own, and the record of all that they were told. */
export class Load {
  readonly operations: Operation[] = [];
  acknowledged: Acknowledged[] = [];
  readonly staleReads: string[] = [];
  readonly #access: () => ClusterAccess;
  readonly #clock: Clock;
  readonly #namespace: string;
  readonly #withPods: boolean;
  readonly #seen: Seen[][] = [];
  readonly #pods: SeenPod[] = [];
  readonly #watchers: Watcher[] = [];
  readonly #registers = new Map<string, Register>();
  readonly #created = new Map<string, number>();
  #startMs = 0;
  #timeoutMs: number = loadLimits.requestTimeoutMs;
  #isStopped = false;
  #isPaused = false;
  #busy = 0;
  readonly #tasks: Promise<void>[] = [];

  constructor(options: { access: () => ClusterAccess; clock: Clock; namespace: string; withPods: boolean }) {
    this.#access = options.access;
    this.#clock = options.clock;
    this.#namespace = options.namespace;
    this.#withPods = options.withPods;
  }

  get nowMs(): number {
    return this.#clock.monotonic() - this.#startMs;
  }

  #connect(): Connection {
    return new Connection(this.#access, this.#clock, () => this.#timeoutMs);
  }

  get #configMaps(): string {
    return `/api/v1/namespaces/${this.#namespace}/configmaps`;
  }

  get #podPath(): string {
    return `/api/v1/namespaces/${this.#namespace}/pods`;
  }

  async start(): Promise<void> {
    const connection = this.#connect();
    const deadline = this.#clock.monotonic() + loadLimits.settleMs;
    for (;;) {
      try {
        await connection.call(
          'POST',
          '/api/v1/namespaces',
          { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.#namespace } },
          loadLimits.settleMs,
        );
        break;
      } catch (error) {
        // Made by the try before, whose answer was lost.
        if (error instanceof Refused && error.status === 409) break;
        if (this.#clock.monotonic() > deadline) throw error;
        await sleep(this.#clock, loadLimits.retryMs);
      }
    }
    connection.close();
    this.#startMs = this.#clock.monotonic();
    for (let index = 0; index < loadLimits.watchers; index++) await this.#startWatcher(this.#configMaps);
    if (this.#withPods) await this.#startPodWatcher();
    for (let worker = 0; worker < loadLimits.writers; worker++) this.#tasks.push(this.#write(worker));
    for (let worker = 0; worker < loadLimits.readers; worker++) this.#tasks.push(this.#read(worker));
    if (this.#withPods) this.#tasks.push(this.#churn());
  }

  /** Ends the time without a fault: what is slow from now on is measured by what was slow until now. Milliseconds of the slowest answer. */
  calibrate(): number {
    const slowestMs = this.operations.reduce((most, each) => Math.max(most, each.endMs - each.startMs), 0);
    this.#timeoutMs = Math.max(loadLimits.requestTimeoutMs, loadLimits.requestTimeoutTimes * slowestMs);
    return slowestMs;
  }

  /** Stops requests (not watches) until `resume`; resolves when none is under way. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    while (this.#busy > 0) await sleep(this.#clock, 5);
  }

  resume(): void {
    this.#isPaused = false;
  }

  /** The cluster goes back to how it was when `acknowledged` was all that had been said: what came later is not owed any more. */
  restoredTo(acknowledged: readonly Acknowledged[]): void {
    this.acknowledged = [...acknowledged];
    this.#registers.clear();
    this.#created.clear();
    for (const { name, value } of acknowledged) this.#created.set(name, value);
    // New values stay above all that were ever said, so that they cannot be taken for old ones.
    for (const seen of this.#seen) seen.length = 0;
  }

  /** Ends the load; waits until watchers and pods are where they should be and reads the final state. */
  async finish(): Promise<History> {
    this.#isStopped = true;
    await Promise.all(this.#tasks);
    const connection = this.#connect();
    const deadline = this.#clock.monotonic() + loadLimits.settleMs;
    const last = this.acknowledged.reduce((most, each) => (each.revision > most ? each.revision : most), 0n);
    while (this.#clock.monotonic() < deadline && this.#watchers.some((each) => each.revision < last))
      await sleep(this.#clock, 50);
    const podsDeadline = this.#clock.monotonic() + loadLimits.podsSettleMs;
    let pendingPods = await this.#pendingPods(connection);
    while (pendingPods.length > 0 && this.#clock.monotonic() < podsDeadline) {
      await sleep(this.#clock, 250);
      pendingPods = await this.#pendingPods(connection);
    }
    const { items } = await listAll(connection, this.#configMaps);
    const own = items.filter(isOfLoad);
    await Promise.all(this.#watchers.map((each) => each.stop()));
    // What is left of it goes in the background; a plane that cannot even take this has been judged by now.
    await connection
      .call('DELETE', `/api/v1/namespaces/${this.#namespace}`, undefined, loadLimits.settleMs)
      .catch(() => undefined);
    connection.close();
    return {
      operations: this.operations,
      acknowledged: this.acknowledged,
      staleReads: this.staleReads,
      watchers: this.#seen,
      pods: this.#pods,
      final: new Map(
        own.map((each) => [
          each.metadata.name,
          { value: valueOf(each), revision: BigInt(each.metadata.resourceVersion) },
        ]),
      ),
      pendingPods,
    };
  }

  async #pendingPods(connection: Connection): Promise<string[]> {
    if (!this.#withPods) return [];
    try {
      const { items } = await listAll(connection, this.#podPath);
      return items
        .filter((each) => (each['status'] as { phase?: string } | undefined)?.phase !== 'Running')
        .map((each) => each.metadata.name);
    } catch (error) {
      return [`the list of pods: ${String(error)}`];
    }
  }

  async #startWatcher(path: string): Promise<void> {
    const seen: Seen[] = [];
    this.#seen.push(seen);
    const watcher = new Watcher({
      connection: this.#connect(),
      clock: this.#clock,
      path,
      onList: (revision, items) =>
        seen.push({
          kind: 'relist',
          revision,
          items: new Map(items.filter(isOfLoad).map((each) => [each.metadata.name, valueOf(each)])),
        }),
      onEvent: (type, object) => {
        const revision = BigInt(object.metadata.resourceVersion);
        if (isOfLoad(object))
          seen.push({ kind: 'event', type, name: object.metadata.name, value: valueOf(object), revision });
      },
    });
    this.#watchers.push(watcher);
    await watcher.start(loadLimits.settleMs);
  }

  async #startPodWatcher(): Promise<void> {
    const note = (object: KubeLike): void => {
      const { name, uid } = object.metadata;
      this.#pods.push({ name, uid, node: (object['spec'] as { nodeName?: string }).nodeName ?? '' });
    };
    const watcher = new Watcher({
      connection: this.#connect(),
      clock: this.#clock,
      path: this.#podPath,
      onList: (_, items) => items.forEach(note),
      onEvent: (_, object) => note(object),
    });
    this.#watchers.push(watcher);
    await watcher.start(loadLimits.settleMs);
  }

  /** Waits while the load is paused; false when it has ended. */
  async #mayGo(): Promise<boolean> {
    while (this.#isPaused && !this.#isStopped) await sleep(this.#clock, 10);
    return !this.#isStopped;
  }

  /** Makes objects and counts a register up. One writer a register and compare-and-set, so that its values only rise. */
  async #write(worker: number): Promise<void> {
    const connection = this.#connect();
    const name = `register-${worker}`;
    for (let number = 1; await this.#mayGo(); number++) {
      const startMs = this.nowMs;
      let ok = true;
      let failure: string | undefined;
      this.#busy++;
      try {
        const isCreate = number % loadLimits.createEvery === 0;
        if (isCreate) await this.#create(connection, `object-${worker}-${number}`, number);
        else await this.#raise(connection, name, number);
      } catch (error) {
        ok = false;
        failure = errorMessage(error);
        // Its outcome is not known: what is there now is read before the next write.
        this.#forget(name);
      } finally {
        this.#busy--;
      }
      this.#record({ kind: 'write', startMs, ok, retried: false }, failure);
      await sleep(this.#clock, ok ? loadLimits.thinkMs : loadLimits.retryMs);
    }
    connection.close();
  }

  #record(operation: Omit<Operation, 'endMs'>, error: string | undefined): void {
    this.operations.push({
      ...operation,
      endMs: this.nowMs,
      ...(error === undefined ? {} : { error }),
    });
  }

  #forget(name: string): void {
    const register = this.#registers.get(name);
    if (register) register.resourceVersion = '';
  }

  async #create(connection: Connection, name: string, value: number): Promise<void> {
    const made = await connection.call<KubeLike>('POST', this.#configMaps, configMap(name, value));
    this.#acknowledge(made, value);
    this.#created.set(name, value);
  }

  async #raise(connection: Connection, name: string, value: number): Promise<void> {
    let register = this.#registers.get(name);
    if (register === undefined || register.resourceVersion === '') {
      try {
        const found = await connection.call<KubeLike>('GET', `${this.#configMaps}/${name}`);
        register = {
          value: Math.max(register?.value ?? 0, valueOf(found)),
          resourceVersion: found.metadata.resourceVersion,
        };
      } catch (error) {
        if (!(error instanceof Refused) || error.status !== 404) throw error;
        const made = await connection.call<KubeLike>('POST', this.#configMaps, configMap(name, value));
        this.#registers.set(name, { value, resourceVersion: made.metadata.resourceVersion });
        this.#acknowledge(made, value);
        return;
      }
    }
    const made = await connection.call<KubeLike>('PATCH', `${this.#configMaps}/${name}`, {
      metadata: { resourceVersion: register.resourceVersion },
      data: { value: String(value) },
    });
    this.#registers.set(name, { value, resourceVersion: made.metadata.resourceVersion });
    this.#acknowledge(made, value);
  }

  #acknowledge(object: KubeLike, value: number): void {
    const { name, resourceVersion } = object.metadata;
    this.acknowledged.push({ name, value, revision: BigInt(resourceVersion) });
  }

  /** Reads registers and objects; what was acknowledged before a read began must be in its answer. */
  async #read(worker: number): Promise<void> {
    const connection = this.#connect();
    for (let turn = worker; await this.#mayGo(); turn++) {
      const register = `register-${turn % loadLimits.writers}`;
      const names = turn % 8 === 7 ? [...this.#created.keys()] : [];
      const name = names.length > 0 ? (names[(turn * 7919) % names.length] as string) : register;
      const floor = this.#created.get(name) ?? this.#registers.get(name)?.value ?? 0;
      if (floor === 0) {
        await sleep(this.#clock, loadLimits.retryMs);
        continue;
      }
      this.#busy++;
      const startMs = this.nowMs;
      let ok = true;
      let retried = false;
      let failure: string | undefined;
      for (let attempt = 1; attempt <= 2; attempt++) {
        try {
          const found = await connection.call<KubeLike>('GET', `${this.#configMaps}/${name}`);
          ok = true;
          if (valueOf(found) < floor)
            this.staleReads.push(`${name} was ${valueOf(found)} although ${floor} had been acknowledged`);
          break;
        } catch (error) {
          ok = false;
          failure = errorMessage(error);
          if (error instanceof Refused && error.status === 404) {
            this.staleReads.push(`${name} was not found although ${floor} had been acknowledged`);
            break;
          }
          retried = true;
          if (attempt === 1) await sleep(this.#clock, loadLimits.retryMs);
        }
      }
      this.#busy--;
      this.#record({ kind: 'read', startMs, ok, retried }, failure);
      await sleep(this.#clock, ok ? loadLimits.thinkMs : loadLimits.retryMs);
    }
    connection.close();
  }

  /** A trickle of pods for the scheduler and the nodes. */
  async #churn(): Promise<void> {
    const connection = this.#connect();
    const alive: { name: string; bornMs: number }[] = [];
    for (let number = 0; await this.#mayGo(); number++) {
      const name = `pod-${number}`;
      this.#busy++;
      try {
        await connection.call('POST', this.#podPath, pod(name));
        alive.push({ name, bornMs: this.nowMs });
        const old = alive[0];
        if (old && this.nowMs - old.bornMs > loadLimits.podLifeMs) {
          alive.shift();
          await connection.call('DELETE', `${this.#podPath}/${old.name}?gracePeriodSeconds=0`);
        }
      } catch {
        // Pods are judged by what watchers see of them.
      } finally {
        this.#busy--;
      }
      await sleep(this.#clock, loadLimits.podIntervalMs);
    }
    connection.close();
  }
}

const isOfLoad = (object: KubeLike): boolean => object.metadata.labels?.['drill'] === 'load';

function valueOf(object: KubeLike): number {
  return Number((object['data'] as { value?: string } | undefined)?.value ?? 0);
}

const configMap = (name: string, value: number): unknown => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels: { drill: 'load' } },
  data: { value: String(value) },
});

const pod = (name: string): unknown => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { drill: 'load' } },
  spec: {
    automountServiceAccountToken: false,
    containers: [{ name: 'c', image: 'nginx', resources: { requests: { cpu: '10m' } } }],
  },
});
