import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Helper, run } from './helper.ts';

const native = fileURLToPath(new URL('../native/', import.meta.url));

/** What faults need of the machine. */
export type Capability = 'process' | 'network' | 'disk' | 'clock';

/** Stations of the network besides the checker: members and replacements. */
export const stationsMax = 8;
const addressPrefix = '10.77.0';

export interface Disk {
  /** Where the member keeps its data. */
  readonly directory: string;
  syncDelay(microseconds: number): Promise<void>;
  setFull(isFull: boolean): Promise<void>;
  setBroken(isBroken: boolean): Promise<void>;
  /** Loses `percent` of the unsynced sectors. All programs that use the disk must have ended. Returns how many were lost. */
  powerCut(seed: number, percent: number): Promise<number>;
}

export interface LinkFaults {
  readonly lossPermille?: number;
  readonly delayUs?: number;
  readonly jitterUs?: number;
  readonly isBlocked?: boolean;
}

/**
 * Everything that a round changes on the machine. Inside namespaces of its own (see main.ts) all of it is gone when the process is; outside
 * of them there are only processes and files.
 */
export class Sandbox {
  readonly directory: string;
  readonly capabilities: ReadonlySet<Capability>;
  /** Why what is missing is missing. */
  readonly missing: ReadonlyMap<Capability, string>;
  readonly faketimeLibrary: string | undefined;
  #switch: Helper | undefined;
  readonly #stops: (() => Promise<void>)[] = [];
  readonly #bootId: string;
  #rounds = 0;
  /** Disks and logs of the present round. */
  roundDirectory = '';

  private constructor(
    directory: string,
    missing: ReadonlyMap<Capability, string>,
    faketimeLibrary: string | undefined,
  ) {
    this.directory = directory;
    this.missing = missing;
    this.faketimeLibrary = faketimeLibrary;
    this.capabilities = new Set(
      (['process', 'network', 'disk', 'clock'] as const).filter((each) => !missing.has(each)),
    );
    this.#bootId = path.join(directory, 'boot-id');
  }

  /** `isIsolated`: this process runs in mount, network and process namespaces of its own. */
  static async open(directory: string, isIsolated: boolean): Promise<Sandbox> {
    const missing = new Map<Capability, string>();
    const attempt = (capability: Capability, action: () => void): void => {
      try {
        action();
      } catch (error) {
        missing.set(capability, (error as Error).message.split('\n')[0] ?? '');
      }
    };
    if (isIsolated) {
      run('ip', ['link', 'set', 'lo', 'up']);
      run('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
    }
    const reason = 'needs namespaces of its own (root, or unprivileged user namespaces)';
    attempt('network', () => {
      if (!isIsolated) throw new Error(reason);
      run('gcc', ['-O2', '-o', path.join(directory, 'switch'), path.join(native, 'switch.c')]);
      for (let station = 1; station <= stationsMax; station++) run('ip', ['netns', 'add', `m${station}`]);
    });
    attempt('disk', () => {
      if (!isIsolated) throw new Error(reason);
      const flags = run('pkg-config', ['--cflags', '--libs', 'fuse3']).trim().split(/\s+/);
      const source = path.join(native, 'faulty-disk.c');
      run('gcc', ['-O2', '-o', path.join(directory, 'faulty-disk'), source, ...flags]);
      if (!existsSync('/dev/fuse')) throw new Error('/dev/fuse is missing');
      const backing = path.join(directory, 'backing');
      mkdirSync(backing);
      run('mount', ['-t', 'tmpfs', '-o', 'size=6g', 'tmpfs', backing]);
    });
    const library = readdirSync('/usr/lib')
      .map((each) => `/usr/lib/${each}/faketime/libfaketimeMT.so.1`)
      .find((each) => existsSync(each));
    if (library === undefined) missing.set('clock', 'libfaketime is not installed');
    const sandbox = new Sandbox(directory, missing, library);
    if (isIsolated) {
      // LMDB tells a crash of the process from one of the machine by the boot ID.
      writeFileSync(sandbox.#bootId, `${randomUUID()}\n`);
      try {
        run('mount', ['--bind', sandbox.#bootId, '/proc/sys/kernel/random/boot_id']);
      } catch {
        // Then a power cut looks to it like a crash of the process, which is harder.
      }
    }
    return sandbox;
  }

  /** Of the member at `station` (from 1); 0 is the checker. */
  address(station: number): string {
    return this.capabilities.has('network') ? `${addressPrefix}.${10 + station}` : '127.0.0.1';
  }

  /** The beginning of a command line that runs a program at a station. */
  at(station: number): readonly string[] {
    return this.capabilities.has('network') ? ['nsenter', `--net=/run/netns/m${station}`] : [];
  }

  /** Starts a round: an empty directory and a calm network. */
  async startRound(seed: number): Promise<void> {
    this.roundDirectory = path.join(this.directory, `round-${++this.#rounds}`);
    mkdirSync(this.roundDirectory);
    if (!this.capabilities.has('network')) return;
    const names = Array.from({ length: stationsMax }, (_, at) => `/run/netns/m${at + 1}`);
    this.#switch = await Helper.start(path.join(this.directory, 'switch'), [
      String(seed),
      addressPrefix,
      '-',
      ...names,
    ]);
    for (let station = 0; station <= stationsMax; station++) {
      const where = station === 0 ? [] : ['-n', `m${station}`];
      const device = `robust${station}`;
      run('ip', [...where, 'link', 'set', 'lo', 'up']);
      run('ip', [...where, 'addr', 'add', `${addressPrefix}.${10 + station}/24`, 'dev', device]);
      run('ip', [...where, 'link', 'set', device, 'mtu', '9000', 'up']);
    }
  }

  async link(from: number, to: number, faults: LinkFaults): Promise<void> {
    const { lossPermille = 0, delayUs = 0, jitterUs = 0, isBlocked = false } = faults;
    await this.#switch?.command(
      `link ${from} ${to} ${lossPermille} ${delayUs} ${jitterUs} ${isBlocked ? 1 : 0}`,
    );
  }

  async calmNetwork(): Promise<void> {
    await this.#switch?.command('clear');
  }

  async openDisk(name: string): Promise<Disk> {
    const directory = path.join(this.roundDirectory, name);
    mkdirSync(directory);
    if (!this.capabilities.has('disk')) {
      const none = (): Promise<never> => Promise.reject(new Error('No disk faults here'));
      return { directory, syncDelay: none, setFull: none, setBroken: none, powerCut: none };
    }
    const backing = path.join(this.directory, 'backing', name);
    mkdirSync(backing);
    const start = (): Promise<Helper> =>
      Helper.start(path.join(this.directory, 'faulty-disk'), [backing, directory]);
    let helper = await start();
    this.#stops.push(() => helper.stop());
    return {
      directory,
      syncDelay: async (microseconds) => void (await helper.command(`sync-delay ${microseconds}`)),
      setFull: async (isFull) => void (await helper.command(`full ${isFull ? 1 : 0}`)),
      setBroken: async (isBroken) => void (await helper.command(`broken ${isBroken ? 1 : 0}`)),
      powerCut: async (seed, percent) => {
        const lost = Number((await helper.command(`power-cut ${seed} ${percent}`)).split(' ')[1]);
        // A new mount has nothing in its page cache, and the machine has booted anew.
        await helper.stop();
        helper = await start();
        writeFileSync(this.#bootId, `${randomUUID()}\n`);
        return lost;
      },
    };
  }

  /** Ends network and disks of a round. */
  async endRound(): Promise<void> {
    await this.#switch?.stop();
    this.#switch = undefined;
    await Promise.all(this.#stops.splice(0).map((stop) => stop()));
    if (this.capabilities.has('disk')) {
      const backing = path.join(this.directory, 'backing');
      run('umount', ['-l', backing]);
      run('mount', ['-t', 'tmpfs', '-o', 'size=6g', 'tmpfs', backing]);
    }
  }
}
