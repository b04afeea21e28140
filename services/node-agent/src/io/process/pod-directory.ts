import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import type { ContainerRecord } from '../../core/process/container-record.ts';

/** What survives the agent, in `state.json` of the pod's directory. */
export interface SavedPod {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly podIp: string;
  readonly startedMs: number;
  readonly records: readonly ContainerRecord[];
}

/** Longest path of a Unix socket on Linux (108) with some room. */
const socketPathMax = 100;

/** `<root>/pods`: one directory per pod, named by its uid. */
export class PodDirectories {
  readonly #root: string;
  readonly #sockets: string;

  constructor(root: string) {
    this.#root = path.join(root, 'pods');
    mkdirSync(this.#root, { recursive: true, mode: 0o700 });
    const near = path.join(root, 'run');
    const hash = createHash('sha256').update(path.resolve(root)).digest('hex').slice(0, 12);
    this.#sockets =
      near.length + 34 <= socketPathMax
        ? near
        : path.join(os.tmpdir(), `pilothouse-${process.getuid?.() ?? 0}-${hash}`);
    mkdirSync(this.#sockets, { recursive: true, mode: 0o700 });
  }

  of(uid: string): string {
    return path.join(this.#root, uid);
  }

  socket(containerId: string): string {
    return path.join(this.#sockets, `${containerId.slice(0, 24)}.sock`);
  }

  volume(uid: string, name: string): string {
    return path.join(this.of(uid), 'volumes', name);
  }

  container(uid: string, name: string): string {
    return path.join(this.of(uid), 'containers', name);
  }

  logFile(uid: string, container: string, restarts: number): string {
    return path.join(this.of(uid), 'logs', container, `${restarts}.log`);
  }

  save(pod: SavedPod): void {
    const directory = this.of(pod.uid);
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const file = path.join(directory, 'state.json');
    writeFileSync(`${file}.new`, JSON.stringify(pod), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  load(uid: string): SavedPod | undefined {
    const file = path.join(this.of(uid), 'state.json');
    if (!existsSync(file)) return undefined;
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as SavedPod;
    } catch {
      return undefined;
    }
  }

  /** Uids of the pods that have a directory. */
  list(): string[] {
    return readdirSync(this.#root);
  }

  remove(uid: string): void {
    rmSync(this.of(uid), { recursive: true, force: true });
  }
}
