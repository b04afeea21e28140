import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { CommandError } from '../errors.ts';
import type { Component } from './layout.ts';

/** A process of a running plane, as `pilothouse status` finds it. */
export interface ProcessRecord {
  readonly component: Component;
  readonly name: string;
  readonly pid: number;
  readonly address: string;
}

/** What the supervisor tells other commands, in `<data-dir>/run/state.json`. */
export interface PlaneState {
  readonly supervisorPid: number;
  readonly ready: boolean;
  readonly server: string;
  readonly processes: readonly ProcessRecord[];
  /** Of `pilothouse up`, to start the plane again as it was; absent in files of older versions. */
  readonly arguments?: readonly string[];
}

export const stateFilePath = (dataDir: string): string => path.join(dataDir, 'run', 'state.json');

export function readState(dataDir: string): PlaneState | undefined {
  const file = stateFilePath(dataDir);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as PlaneState;
  } catch {
    throw new CommandError(`Cannot read "${file}": remove it if no plane runs in this directory`);
  }
}

export function writeState(dataDir: string, state: PlaneState): void {
  const file = stateFilePath(dataDir);
  writeFileSync(`${file}.tmp`, JSON.stringify(state, null, 2), { mode: 0o600 });
  renameSync(`${file}.tmp`, file);
}

export function isAlive(pid: number): boolean {
  // 0 would mean this process's own group.
  if (pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM';
  }
}
