import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { RemoteStreams, StreamOptions } from '@pilothouse/streaming';
import { acceptRemoteCommand } from '@pilothouse/streaming';
import { existsSync } from 'node:fs';
import type { RunningContainer } from '../process/running-container.ts';
import type { Spawned } from '../process/spawned.ts';
import { killGroup, spawnProgram } from '../process/spawned.ts';

const hangupGraceMs = 2_000;

/** Reads input, output, error and tty of the query. Throws Error with kubelet's words. */
export function streamOptions(query: URLSearchParams): StreamOptions {
  const is = (name: string): boolean => query.get(name) === '1' || query.get(name) === 'true';
  const options = {
    stdin: is('input'),
    stdout: is('output'),
    stderr: is('error') && !is('tty'),
    tty: is('tty'),
  };
  if (!options.stdin && !options.stdout && !options.stderr)
    throw new Error('you must specify at least 1 of stdin, stdout, stderr');
  return options;
}

/** Runs a command beside a container: as its process would see the world, with streams to the client. */
export async function serveExec(
  upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  running: RunningContainer,
  command: readonly string[],
  options: StreamOptions,
  clock: Clock,
): Promise<void> {
  const client = await acceptRemoteCommand(upgrade.request, upgrade.socket, upgrade.head, options, clock);
  if (!client) return;
  const { env, cwd } = running.surroundings;
  let program: Spawned;
  try {
    program = await spawnProgram(
      {
        argv: command,
        env: options.tty ? { ...env, TERM: 'xterm' } : env,
        cwd: existsSync(cwd) ? cwd : '/',
        tty: options.tty,
        stdin: options.stdin,
      },
      (delayMs, then) => void clock.setTimeout(then, delayMs),
    );
  } catch (error) {
    await client.finish({
      error: `error executing command in container: failed to exec in container: failed to start exec: ${errorMessage(error)}`,
    });
    return;
  }
  joinInput(client, {
    write: (data, done) => program.write(data, done),
    end: () => program.endStdin(),
    resize: (width, height) => program.resize(width, height),
  });
  let behind = 0;
  program.onOutput((stream, data) => {
    const target = stream === 'stdout' ? client.stdout : client.stderr;
    if (!target || target.destroyed || target.writableEnded) return;
    if (++behind === 1) program.pause();
    target.write(Buffer.from(data), () => {
      if (--behind === 0) program.resume();
    });
  });
  let over = false;
  client.onClose(() => {
    if (over) return;
    // Nobody is left to see it: a program that was started for a client ends with the client.
    killGroup(program.pid, options.tty ? 'SIGHUP' : 'SIGTERM');
    clock.setTimeout(() => {
      if (!over) killGroup(program.pid, 'SIGKILL');
    }, hangupGraceMs);
  });
  const exit = await new Promise<{ exitCode: number }>((resolve) => program.onExit(resolve));
  over = true;
  await client.finish({ exitCode: exit.exitCode });
}

/** Joins a client to the streams of a container's first process. */
export async function serveAttach(
  upgrade: { request: IncomingMessage; socket: Duplex; head: Buffer },
  running: RunningContainer,
  options: StreamOptions,
  clock: Clock,
): Promise<void> {
  const client = await acceptRemoteCommand(upgrade.request, upgrade.socket, upgrade.head, options, clock);
  if (!client) return;
  let streams;
  try {
    streams = await running.process.attach(options.stdout || options.stderr);
  } catch (error) {
    await client.finish({ error: errorMessage(error) });
    return;
  }
  const attached = streams;
  joinInput(client, {
    write: (data, done) => attached.write(data, done),
    // Whether the process's stdin ends with the client's is for stdinOnce to say; closing the connection tells the guard.
    end: () => {
      if (running.container.stdinOnce === true && running.container.tty !== true) attached.endStdin();
    },
    resize: (width, height) => attached.resize(width, height),
  });
  client.onClose(() => attached.close());
  await new Promise<void>((resolve) => {
    attached.listen(
      (stream, data, done) => {
        const target = stream === 'stdout' ? client.stdout : client.stderr;
        if (!target || target.destroyed || target.writableEnded) done();
        else target.write(data, () => done());
      },
      () => resolve(),
    );
  });
  await client.finish({ exitCode: 0 });
}

interface Input {
  write(data: Buffer, done: () => void): void;
  end(): void;
  resize(width: number, height: number): void;
}

function joinInput(client: RemoteStreams, input: Input): void {
  client.onResize(({ width, height }) => input.resize(width, height));
  const { stdin } = client;
  if (!stdin) return;
  stdin.on('data', (data: Buffer) => {
    stdin.pause();
    input.write(data, () => stdin.resume());
  });
  stdin.once('end', () => input.end());
  stdin.on('error', () => undefined);
}
