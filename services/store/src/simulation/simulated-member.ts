import { assert, silentLogger } from '@pilothouse/base';
import type { Clock } from '@pilothouse/base';
import { SimulatedDisk } from '@pilothouse/testkit';
import type { SeededRandom, SimulatedNetwork } from '@pilothouse/testkit';
import type { Message } from '@pilothouse/raft';
import { parseConfig } from '../config.ts';
import type { MemberId, MemberInfo } from '../core/replication.ts';
import { Duties } from '../io/duties.ts';
import { createReplica } from '../io/replica/index.ts';
import { simpleTokens } from '../io/rpc/auth-tokens.ts';
import { StoreService } from '../io/rpc/store-service.ts';
import { InlineLogWriter } from '../io/wal/inline-log-writer.ts';
import { WalWriter } from '../io/wal/wal.ts';
import { DurableBackend } from './durable-backend.ts';
import { mutateWriter } from './mutations.ts';
import type { Mutation } from './mutations.ts';
import { SimulatedTransport } from './simulated-transport.ts';
import type { TransportRegistry } from './simulated-transport.ts';
import { SkewedClock } from './skewed-clock.ts';
import { SafetyViolation, WitnessedMachine } from './witness.ts';
import type { Witness } from './witness.ts';

export interface World {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly network: SimulatedNetwork;
  readonly registry: TransportRegistry;
  readonly witness: Witness;
  readonly mutation: Mutation;
  readonly snapshotCount: number;
  readonly snapshotCatchUpEntries: number;
  readonly trace: (text: string) => void;
  /** Ends the run. */
  readonly violated: (error: Error) => void;
}

type RunningReplica = Awaited<ReturnType<typeof createReplica>>;

const segmentBytes = 32 * 1024;
const parsed = parseConfig(
  ['--heartbeat-interval=100', '--election-timeout=1000', '--feature-gates=LeaseCheckpoint=true'],
  {},
);
assert(parsed.kind === 'config', 'These flags are valid');
/** The leases here last some seconds: their rest is written down twice or so. */
const config = { ...parsed.config, leaseCheckpointMs: 1000 };
/** By how much the mutation `early-lease` is early, milliseconds. */
const earlyLeaseMs = 1800;
/** What a failing disk, or a machine that dies at a planned step, looks like to its own program. */
const isDiskError = ({ message }: Error): boolean => /^(EIO|ESTALE)/.test(message);

/** One member with its machine: process, disk, clock. Survives crashes of the process. */
export class SimulatedMember {
  readonly id: MemberId;
  readonly clock: SkewedClock;
  readonly disk: SimulatedDisk;
  readonly #world: World;
  readonly #initial: readonly MemberInfo[];
  readonly #isNewCluster: boolean;
  #backend: DurableBackend;
  machine: WitnessedMachine;
  replica: RunningReplica | undefined;
  /** What the API's handlers and the leader's duties work with; while it is up. */
  service: StoreService | undefined;
  #duties: Duties | undefined;
  /** Milliseconds that a sync takes. */
  syncMs = 0.5;
  isRemoved = false;
  #incarnation = 0;
  onStart: (member: SimulatedMember) => void = () => {};

  constructor(
    id: MemberId,
    world: World,
    options: { initial: readonly MemberInfo[]; isNewCluster: boolean },
  ) {
    this.id = id;
    this.#world = world;
    this.#initial = options.initial;
    this.#isNewCluster = options.isNewCluster;
    this.clock = new SkewedClock(world.clock);
    this.disk = new SimulatedDisk(world.random.fork());
    this.disk.isSyncLost = world.mutation === 'lost-fsync';
    this.#backend = new DurableBackend(world.clock, () => this.disk.step());
    this.machine = this.#newMachine();
  }

  get isUp(): boolean {
    return this.replica !== undefined;
  }

  #newMachine(): WitnessedMachine {
    return new WitnessedMachine(
      { backend: this.#backend, monotonic: () => this.clock.monotonic() },
      this.#world.witness,
    );
  }

  async start(): Promise<void> {
    if (this.replica || this.isRemoved) return;
    const { clock, network, registry, random, witness, mutation } = this.#world;
    const incarnation = ++this.#incarnation;
    this.machine = this.#newMachine();
    const directory = '/data';
    try {
      const replica = await createReplica({
        memberId: this.id,
        clusterId: 1n,
        initialMembers: this.#initial,
        isNewCluster: this.#isNewCluster,
        dataDirectory: directory,
        stateMachine: this.machine,
        logger: silentLogger,
        clock: this.clock,
        random: random.fork(),
        disk: this.disk,
        transport: new SimulatedTransport(this.id, {
          network,
          clock,
          registry,
          observe: (message) => this.#observe(message),
        }),
        walSegmentBytes: segmentBytes,
        snapshotCount: this.#world.snapshotCount,
        snapshotCatchUpEntries: this.#world.snapshotCatchUpEntries,
        requestTimeoutMs: 3000,
        openLogWriter: (position, onError) =>
          mutateWriter(
            new InlineLogWriter(new WalWriter(this.disk, `${directory}/wal`, position, { segmentBytes }), {
              clock,
              syncDelay: () => this.syncMs * (0.5 + random.float()),
              onError,
            }),
            mutation,
          ),
        defer: (callback) => void clock.setTimeout(callback, 0),
        onFatal: (error) => this.#failed(error),
        onRemoved: () => {
          this.#world.trace(`m${this.id} left`);
          this.isRemoved = true;
          this.#stopDuties();
          this.replica = undefined;
        },
      });
      if (incarnation !== this.#incarnation || this.isRemoved) return replica.kill();
      this.replica = replica;
      this.#startDuties(replica);
      const watchLeader = (): void => {
        const { role, term } = replica.status();
        if (role !== 'leader') return;
        try {
          witness.leads(this.id, term);
        } catch (error) {
          this.#world.violated(error as Error);
        }
      };
      replica.onLeaderChange(watchLeader);
      witness.restarted(this.id, replica.status().term);
      this.#world.trace(`m${this.id} starts at ${this.machine.appliedIndex}`);
      this.onStart(this);
    } catch (error) {
      // A disk that fails while a member starts: it refuses, and is started again later (seed 1859).
      if (isDiskError(error as Error)) this.crash('power');
      else this.#world.violated(error as Error);
    }
  }

  #startDuties(replica: RunningReplica): void {
    const { clock, machine } = this;
    const { lessor } = machine;
    if (this.#world.mutation === 'early-lease') {
      const expired = lessor.expired.bind(lessor);
      lessor.expired = (nowMs, max) => expired(nowMs + earlyLeaseMs, max);
    }
    this.service = new StoreService({
      ...config,
      machine,
      replication: replica,
      clusterId: 1n,
      memberId: this.id,
      clock,
      random: this.#world.random.fork(),
      logger: silentLogger,
      connectedSinceMs: () => 0,
      clientCertAuth: false,
      tokens: simpleTokens(clock, 300_000),
    });
    this.#duties = new Duties(this.service, config);
    this.#duties.start();
  }

  #stopDuties(): void {
    this.#duties?.stop();
    this.#duties = undefined;
    this.service = undefined;
  }

  #observe(message: Message): void {
    const { witness, violated } = this.#world;
    try {
      if (message.kind === 'voteResponse' && message.isGranted)
        witness.voted(this.id, message.term, message.to);
      const isClaim =
        message.kind === 'voteResponse'
          ? message.isGranted
          : message.kind === 'appendResponse' && !message.isRejected;
      if (isClaim) witness.acknowledged(this.id, message.term);
    } catch (error) {
      violated(error as Error);
    }
  }

  #failed(error: Error): void {
    this.#world.trace(`m${this.id} fails: ${error.message}`);
    if (error instanceof SafetyViolation || !isDiskError(error)) this.#world.violated(error);
    this.crash('power');
  }

  /** `power`: unsynced writes may be lost. `process`: only the process dies. */
  crash(kind: 'power' | 'process'): void {
    this.#incarnation++;
    this.#world.trace(`m${this.id} crashes (${kind})`);
    const { replica } = this;
    this.replica = undefined;
    this.#stopDuties();
    replica?.kill();
    if (kind === 'power') this.disk.crash();
    else this.disk.kill();
    this.#backend = this.#backend.afterCrash();
  }
}
