import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Clock } from '@pilothouse/base';
import type { ShimExit, ShimReady, ShimSpec } from './shim-protocol.ts';
import { encodeShimFrame, frame, ShimDecoder } from './shim-protocol.ts';
import { killGroup, SpawnError } from './spawned.ts';

/** A guard was lost (killed, or the machine restarted) before it could tell how its container ended. */
export const lostExitCode = 137;

/** The guard is a program of its own, in the same form (source or compiled) as this module. */
const shimProgram = fileURLToPath(new URL(`./shim-main${path.extname(import.meta.url)}`, import.meta.url));

/** How this program itself came to read its modules; flags of the test runner are none of the guard's. */
const loaderArguments = process.execArgv.filter((each) => !each.startsWith('--test'));

/** A running container: its process, and the guard that holds its streams. */
export class ContainerProcess {
  readonly id: string;
  readonly pid: number;
  readonly startedMs: number;
  /** Resolves once, however it ends. `lost`: nobody saw how. */
  readonly exited: Promise<ShimExit & { readonly lost?: boolean }>;
  readonly #socket: string;
  /** Whether the guard answered: only then does the process id surely belong to the container. */
  readonly #guard: Promise<boolean>;

  private constructor(
    identity: { id: string; pid: number; startedMs: number; socket: string },
    exited: Promise<ShimExit & { lost?: boolean }>,
    guard: Promise<boolean>,
  ) {
    this.#guard = guard;
    this.id = identity.id;
    this.pid = identity.pid;
    this.startedMs = identity.startedMs;
    this.#socket = identity.socket;
    this.exited = exited;
  }

  /** Starts a container behind a new guard. Rejects with SpawnError when the program cannot be started. */
  static async start(id: string, spec: ShimSpec, specFile: string, clock: Clock): Promise<ContainerProcess> {
    writeFileSync(specFile, JSON.stringify(spec), { mode: 0o600 });
    const guard = spawn(
      process.execPath,
      [...loaderArguments, '--max-old-space-size=64', shimProgram, specFile],
      { detached: true, stdio: ['ignore', 'pipe', 'ignore'], cwd: path.dirname(shimProgram) },
    );
    const ready = await new Promise<ShimReady>((resolve) => {
      let text = '';
      guard.stdout.on('data', (piece: Buffer) => {
        text += piece.toString();
        const end = text.indexOf('\n');
        if (end >= 0) resolve(JSON.parse(text.slice(0, end)) as ShimReady);
      });
      const failed = (): void =>
        resolve({ error: 'the guard of the container did not start', code: 'EGUARD' });
      guard.once('error', failed);
      guard.stdout.once('close', failed);
    });
    guard.unref();
    guard.stdout.destroy();
    if ('error' in ready) throw new SpawnError(ready.error, ready.code);
    return ContainerProcess.#watch({ id, ...ready, socket: spec.socket }, spec.exitFile, clock);
  }

  /** Goes on with a container that an earlier agent started. */
  static adopt(
    identity: { id: string; pid: number; startedMs: number; socket: string },
    exitFile: string,
    clock: Clock,
  ): ContainerProcess {
    return ContainerProcess.#watch(identity, exitFile, clock);
  }

  static #watch(
    identity: { id: string; pid: number; startedMs: number; socket: string },
    exitFile: string,
    clock: Clock,
  ): ContainerProcess {
    let found: (connected: boolean) => void = () => undefined;
    const guard = new Promise<boolean>((resolve) => (found = resolve));
    const exited = new Promise<ShimExit & { lost?: boolean }>((resolve) => {
      let ended = false;
      let connected = false;
      const client = net.connect(identity.socket);
      const decoder = new ShimDecoder();
      client.once('connect', () => {
        connected = true;
        found(true);
      });
      client.on('data', (bytes: Buffer) => {
        for (const { type, payload } of decoder.push(bytes)) {
          if (type !== frame.exit) continue;
          ended = true;
          resolve(JSON.parse(payload.toString()) as ShimExit);
        }
      });
      client.on('error', () => undefined);
      client.once('close', () => {
        found(false);
        if (ended) return;
        if (existsSync(exitFile)) {
          resolve(JSON.parse(readFileSync(exitFile, 'utf8')) as ShimExit);
          return;
        }
        // Without its guard nobody reads the process's output or sees its end. A guard that was never reached says nothing about the
        // process id: it may be another program's by now.
        if (connected) killGroup(identity.pid, 'SIGKILL');
        resolve({ exitCode: lostExitCode, finishedMs: clock.now(), lost: true });
      });
    });
    return new ContainerProcess(identity, exited, guard);
  }

  /** To the container's first process alone, as a runtime does; it tells its children. */
  signal(signal: NodeJS.Signals): void {
    try {
      process.kill(this.pid, signal);
    } catch {
      // Gone already.
    }
  }

  kill(): void {
    if (!killGroup(this.pid, 'SIGKILL')) this.signal('SIGKILL');
  }

  /** For a container that an earlier agent started: kills it if it is still there. */
  killWhenFound(): void {
    void this.#guard.then((there) => {
      if (there) this.kill();
    });
  }

  /** A connection to the streams. Rejects when the container has ended. */
  attach(output: boolean): Promise<AttachedStreams> {
    return new Promise((resolve, reject) => {
      const client = net.connect(this.#socket);
      client.once('error', () => reject(new Error('the container is not running')));
      client.once('connect', () => {
        client.removeAllListeners('error');
        client.on('error', () => client.destroy());
        if (output) client.write(encodeShimFrame(frame.subscribe, Buffer.alloc(0)));
        resolve(new AttachedStreams(client));
      });
    });
  }
}

/** What a client of attach is joined to. */
export class AttachedStreams {
  readonly #client: net.Socket;

  constructor(client: net.Socket) {
    this.#client = client;
  }

  /** Output with its own pace: `done` is called when more may come. `onEnd` once, when the container ended or was cut off. */
  listen(
    onOutput: (stream: 'stdout' | 'stderr', data: Buffer, done: () => void) => void,
    onEnd: (exitCode: number | undefined) => void,
  ): void {
    const decoder = new ShimDecoder();
    let exitCode: number | undefined;
    this.#client.on('data', (bytes: Buffer) => {
      let waiting = 1;
      const done = (): void => {
        if (--waiting === 0) this.#client.resume();
      };
      this.#client.pause();
      for (const { type, payload } of decoder.push(bytes)) {
        if (type === frame.exit) exitCode = (JSON.parse(payload.toString()) as ShimExit).exitCode;
        else if (type === frame.stdout || type === frame.stderr) {
          waiting++;
          onOutput(type === frame.stdout ? 'stdout' : 'stderr', Buffer.from(payload), done);
        }
      }
      done();
    });
    this.#client.once('close', () => onEnd(exitCode));
  }

  write(data: Buffer, done: () => void): void {
    this.#client.write(encodeShimFrame(frame.stdin, data), () => done());
  }

  endStdin(): void {
    this.#client.write(encodeShimFrame(frame.endStdin, Buffer.alloc(0)));
  }

  resize(width: number, height: number): void {
    const size = Buffer.alloc(4);
    size.writeUInt16BE(width, 0);
    size.writeUInt16BE(height, 2);
    this.#client.write(encodeShimFrame(frame.resize, size));
  }

  close(): void {
    this.#client.end();
  }
}
