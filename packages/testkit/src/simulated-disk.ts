import { CodedError } from '@pilothouse/base';
import type { Disk, DiskFile, Random } from '@pilothouse/base';

/** Raised by a file of a disk that crashed meanwhile, or that was told to fail. */
export class SimulatedDiskError extends CodedError {
  constructor(code: 'EIO' | 'ENOENT' | 'EEXIST' | 'ESTALE', message: string) {
    super(code, `${code}: ${message}`);
  }
}

const sectorBytes = 512;

/** A file's bytes, with what each unsynced sector held when it was last durable. */
interface Node {
  content: Uint8Array;
  length: number;
  durableLength: number;
  readonly undo: Map<number, Uint8Array>;
}

type NameChange =
  | { readonly kind: 'create'; readonly path: string; readonly node: Node }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string };

function parent(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}

function applyChange(names: Map<string, Node>, change: NameChange): void {
  switch (change.kind) {
    case 'create':
      names.set(change.path, change.node);
      return;
    case 'rename': {
      const node = names.get(change.from);
      if (!node) return;
      names.delete(change.from);
      names.set(change.to, node);
      return;
    }
    case 'remove':
      names.delete(change.path);
  }
}

/**
 * A disk in memory that behaves as a real one may: after {@link crash}, each sector that was not synced holds either what was
 * written or what it held before, independently; names changed in a directory that was not synced are undone from some point on.
 * Directories themselves are durable at once.
 */
export class SimulatedDisk implements Disk {
  readonly #random: Random;
  readonly #names = new Map<string, Node>();
  #durableNames = new Map<string, Node>();
  #changes: NameChange[] = [];
  readonly #directories = new Set<string>(['/']);
  #generation = 0;
  #syncFailures = 0;
  /** A broken device for negative controls: sync does nothing. */
  isSyncLost = false;
  syncCount = 0;
  /** Steps that changed something: writes, syncs, names. */
  steps = 0;
  /** Called with the number of each step before it is taken; may throw instead, as a machine that dies does. */
  onStep: (step: number) => void = () => {};

  constructor(random: Random) {
    this.#random = random;
  }

  // ---- Disk ----

  open(path: string, mode: 'read' | 'write' | 'create'): DiskFile {
    let node = this.#names.get(path);
    if (mode === 'create') {
      if (node) throw new SimulatedDiskError('EEXIST', `file exists, open '${path}'`);
      node = { content: new Uint8Array(0), length: 0, durableLength: 0, undo: new Map() };
      this.#change({ kind: 'create', path, node });
    }
    if (!node) throw new SimulatedDiskError('ENOENT', `no such file, open '${path}'`);
    return new SimulatedFile(node, {
      check: ((generation) => () => {
        if (generation !== this.#generation)
          throw new SimulatedDiskError('ESTALE', `the machine of '${path}' crashed`);
      })(this.#generation),
      sync: (target) => this.#sync(target),
      step: () => this.step(),
    });
  }

  exists(path: string): boolean {
    return this.#names.has(path) || this.#directories.has(path);
  }

  list(directory: string): string[] {
    const prefix = `${directory}/`;
    const names = new Set<string>();
    for (const path of [...this.#names.keys(), ...this.#directories]) {
      if (path.startsWith(prefix)) names.add(path.slice(prefix.length).split('/')[0] as string);
    }
    return [...names].sort();
  }

  makeDirectory(path: string): void {
    for (let at = path; at.length > 1; at = parent(at)) this.#directories.add(at);
  }

  rename(from: string, to: string): void {
    if (!this.#names.has(from)) throw new SimulatedDiskError('ENOENT', `no such file, rename '${from}'`);
    this.#change({ kind: 'rename', from, to });
  }

  remove(path: string): void {
    if (!this.#names.has(path)) throw new SimulatedDiskError('ENOENT', `no such file, unlink '${path}'`);
    this.#change({ kind: 'remove', path });
  }

  syncDirectory(path: string): void {
    this.step();
    if (this.isSyncLost) return;
    const rest: NameChange[] = [];
    for (const change of this.#changes) {
      if (parent(change.kind === 'rename' ? change.to : change.path) === path)
        applyChange(this.#durableNames, change);
      else rest.push(change);
    }
    this.#changes = rest;
  }

  /** Counts a step, also of others whose state is part of this machine's. */
  step(): void {
    this.onStep(++this.steps);
  }

  #change(change: NameChange): void {
    this.step();
    applyChange(this.#names, change);
    this.#changes.push(change);
  }

  #sync(node: Node): void {
    this.step();
    this.syncCount++;
    if (this.#syncFailures > 0) {
      this.#syncFailures--;
      throw new SimulatedDiskError('EIO', 'input/output error, fdatasync');
    }
    if (this.isSyncLost) return;
    node.undo.clear();
    node.durableLength = node.length;
  }

  // ---- faults ----

  /** The machine loses power: open files become stale, unsynced writes survive by chance, sector by sector. */
  crash(): void {
    this.#generation++;
    const kept = this.#random.integer(this.#changes.length + 1);
    for (const change of this.#changes.slice(0, kept)) applyChange(this.#durableNames, change);
    this.#changes = [];
    this.#names.clear();
    for (const [path, node] of this.#durableNames) this.#names.set(path, node);
    for (const node of new Set(this.#names.values())) {
      for (const [sector, old] of node.undo) {
        if (this.#random.float() < 0.5) continue;
        const at = sector * sectorBytes;
        node.content.fill(0, at, Math.min(at + sectorBytes, node.content.length));
        node.content.set(old.subarray(0, Math.max(0, node.content.length - at)), at);
      }
      node.undo.clear();
      if (node.length > node.durableLength && this.#random.float() < 0.5) {
        node.content.fill(0, node.durableLength);
        node.length = node.durableLength;
      }
      node.durableLength = node.length;
    }
    this.#durableNames = new Map(this.#names);
  }

  /** The process dies but the machine lives: nothing is lost, open files become stale. */
  kill(): void {
    this.#generation++;
  }

  /** The next `count` syncs report an error. */
  failSyncs(count = 1): void {
    this.#syncFailures = count;
  }

  /** Flips one bit of a file where it is. */
  flipBit(path: string, offset: number, bit = 0): void {
    const node = this.#names.get(path);
    if (!node || offset >= node.length)
      throw new SimulatedDiskError('ENOENT', `no byte ${offset} in '${path}'`);
    node.content[offset] = (node.content[offset] as number) ^ (1 << bit);
  }

  /** Everything is lost, as with a replaced machine. */
  wipe(): void {
    this.#generation++;
    this.#names.clear();
    this.#durableNames.clear();
    this.#changes = [];
  }
}

interface FileContext {
  readonly check: () => void;
  readonly sync: (node: Node) => void;
  readonly step: () => void;
}

class SimulatedFile implements DiskFile {
  readonly #node: Node;
  readonly #context: FileContext;

  constructor(node: Node, context: FileContext) {
    this.#node = node;
    this.#context = context;
  }

  read(offset: number, length: number): Uint8Array {
    this.#context.check();
    return this.#node.content.slice(
      Math.min(offset, this.#node.length),
      Math.min(offset + length, this.#node.length),
    );
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#context.check();
    this.#context.step();
    const node = this.#node;
    const end = offset + bytes.length;
    if (end > node.content.length) {
      const grown = new Uint8Array(Math.max(end, node.content.length * 2, 4096));
      grown.set(node.content.subarray(0, node.length));
      node.content = grown;
    }
    for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector++) {
      if (node.undo.has(sector)) continue;
      node.undo.set(sector, node.content.slice(sector * sectorBytes, (sector + 1) * sectorBytes));
    }
    node.content.set(bytes, offset);
    node.length = Math.max(node.length, end);
  }

  sync(): void {
    this.#context.check();
    this.#context.sync(this.#node);
  }

  /** At once: a simulated disk has no thread of its own. */
  async syncInBackground(): Promise<void> {
    this.sync();
  }

  truncate(length: number): void {
    this.#context.check();
    this.#context.step();
    const node = this.#node;
    if (length < node.length) node.content.fill(0, length);
    node.length = length;
    node.durableLength = Math.min(node.durableLength, length);
  }

  size(): number {
    this.#context.check();
    return this.#node.length;
  }

  close(): void {}
}
