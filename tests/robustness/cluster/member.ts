import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { appendFileSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Disk, Sandbox } from '../sandbox/sandbox.ts';
import type { Target } from './target.ts';

export interface MemberOptions {
  readonly station: number;
  readonly sandbox: Sandbox;
  readonly target: Target;
  readonly disk: Disk;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly flags: readonly string[];
  /** Its wall clock can be moved. */
  readonly hasFakeClock: boolean;
}

/** One member: its process, its disk and its place in the network. */
export class Member {
  readonly name: string;
  readonly options: MemberOptions;
  readonly logFile: string;
  readonly #clockFile: string;
  /** The flags that tell it whom to join. */
  bootstrap: readonly string[] = [];
  #process: ChildProcess | undefined;
  #exit: Promise<number | undefined> = Promise.resolve(undefined);
  isPaused = false;
  /** Set while it is meant to be down or to refuse. */
  isExpectedDown = false;

  constructor(options: MemberOptions) {
    this.options = options;
    this.name = `m${options.station}`;
    this.logFile = path.join(options.sandbox.roundDirectory, `${this.name}.log`);
    this.#clockFile = path.join(options.sandbox.roundDirectory, `${this.name}.clock`);
  }

  get station(): number {
    return this.options.station;
  }

  get clientUrl(): string {
    return this.options.clientUrl;
  }

  get dataDirectory(): string {
    return path.join(this.options.disk.directory, 'data');
  }

  get isRunning(): boolean {
    return this.#process !== undefined;
  }

  /** Milliseconds by which its wall clock is wrong. */
  setClock(offsetMs: number): void {
    const seconds = offsetMs / 1000;
    writeFileSync(this.#clockFile, `${seconds < 0 ? '' : '+'}${seconds}s\n`);
  }

  start(): void {
    if (this.#process) return;
    const { sandbox, target, station, clientUrl, peerUrl, flags, hasFakeClock } = this.options;
    if (hasFakeClock) this.setClock(0);
    const [file, ...args] = [
      ...sandbox.at(station),
      ...target.command,
      `--name=${this.name}`,
      `--data-dir=${this.dataDirectory}`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      '--heartbeat-interval=50',
      '--election-timeout=500',
      '--log-level=info',
      ...flags,
      ...this.bootstrap,
    ] as [string, ...string[]];
    const log = openSync(this.logFile, 'a');
    const child = spawn(file, args, {
      cwd: sandbox.roundDirectory,
      stdio: ['ignore', log, log],
      env: {
        PATH: process.env['PATH'],
        ...target.environment,
        ...(hasFakeClock
          ? {
              LD_PRELOAD: sandbox.faketimeLibrary,
              FAKETIME_TIMESTAMP_FILE: this.#clockFile,
              FAKETIME_DONT_FAKE_MONOTONIC: '1',
              FAKETIME_CACHE_DURATION: '1',
            }
          : {}),
      },
    });
    closeSync(log);
    this.#process = child;
    this.isPaused = false;
    this.#exit = new Promise((resolve) => {
      child.on('error', () => resolve(-1));
      child.on('exit', (code) => {
        if (this.#process === child) this.#process = undefined;
        resolve(code ?? undefined);
      });
    });
  }

  /** SIGKILL; resolves when the process is gone. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#exit;
  }

  async stop(): Promise<void> {
    this.#process?.kill('SIGCONT');
    this.#process?.kill('SIGTERM');
    const timer = setTimeout(() => this.#process?.kill('SIGKILL'), 5000);
    await this.#exit;
    clearTimeout(timer);
  }

  pause(): void {
    this.isPaused = this.#process?.kill('SIGSTOP') ?? false;
  }

  resume(): void {
    this.#process?.kill('SIGCONT');
    this.isPaused = false;
  }

  /** The exit code when the process ends by itself within the time. */
  async exitWithin(ms: number): Promise<{ readonly code: number | undefined } | undefined> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<undefined>((resolve) => (timer = setTimeout(() => resolve(undefined), ms)));
    const result = await Promise.race([this.#exit.then((code) => ({ code })), late]);
    clearTimeout(timer);
    return result;
  }

  /** What it wrote since `from`, bytes into its log. */
  log(from = 0): string {
    return readFileSync(this.logFile).subarray(from).toString('utf8');
  }

  logLength(): number {
    return readFileSync(this.logFile).length;
  }

  note(text: string): void {
    appendFileSync(this.logFile, `--- ${text}\n`);
  }
}
