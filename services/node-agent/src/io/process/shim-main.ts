/**
 * The guard of one container: a small program of its own that starts the container's process, writes its log, lets clients attach and
 * keeps the exit code, so that the agent can be restarted or crash without harm to the container. Started by the agent with the path of
 * its ShimSpec.
 */
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { nodeClock } from '@pilothouse/host';
import { LineCutter } from '../../core/process/log-line.ts';
import { RotatingLog } from './rotating-log.ts';
import type { ShimExit, ShimReady, ShimSpec } from './shim-protocol.ts';
import { encodeShimFrame, frame, ShimDecoder } from './shim-protocol.ts';
import type { Spawned, SpawnedExit } from './spawned.ts';
import { SpawnError, spawnProgram } from './spawned.ts';

/** What one client may be behind before it is dropped: a stalled one must not stop the container. */
const clientBytesMax = 8 * 1024 * 1024;

function say(ready: ShimReady): void {
  process.stdout.write(`${JSON.stringify(ready)}\n`);
}

async function main(specFile: string): Promise<void> {
  const spec = JSON.parse(readFileSync(specFile, 'utf8')) as ShimSpec;
  // It outlives the terminal and the agent that started it; the agent asks it to end through the container's process.
  for (const signal of ['SIGHUP', 'SIGINT', 'SIGTERM', 'SIGPIPE'] as const)
    process.on(signal, () => undefined);
  let log: RotatingLog;
  let program: Spawned;
  try {
    log = new RotatingLog(spec.logFile, spec.logBytesMax, spec.logFilesMax);
    program = await spawnProgram(spec, (delayMs, then) => void nodeClock.setTimeout(then, delayMs));
  } catch (error) {
    const code = error instanceof SpawnError ? error.code : 'EUNKNOWN';
    say({ error: error instanceof Error ? error.message : String(error), code });
    return;
  }
  const startedMs = nodeClock.now();
  const clients = new Set<net.Socket>();
  /** Those that want the output too; the agent itself only waits for the end. */
  const subscribers = new Set<net.Socket>();
  const cutters = { stdout: new LineCutter(), stderr: new LineCutter() };
  const write = (stream: 'stdout' | 'stderr', lines: { text: Buffer; complete: boolean }[]): void => {
    const time = preciseTime();
    for (const line of lines) log.write({ time, stream, ...line });
  };
  program.onOutput((stream, data) => {
    write(stream, cutters[stream].push(data));
    const bytes = encodeShimFrame(frame[stream], data);
    for (const client of subscribers) {
      if (client.writableLength > clientBytesMax) client.destroy();
      else client.write(bytes);
    }
  });
  let stdinUsed = false;
  const server = net.createServer((client) => {
    clients.add(client);
    const decoder = new ShimDecoder();
    let wrote = false;
    client.on('error', () => client.destroy());
    client.on('data', (bytes: Buffer) => {
      try {
        for (const { type, payload } of decoder.push(bytes)) {
          if (type === frame.stdin && spec.stdin) {
            wrote = stdinUsed = true;
            client.pause();
            program.write(Buffer.from(payload), () => client.resume());
          } else if (type === frame.subscribe) subscribers.add(client);
          else if (type === frame.endStdin && spec.stdin) program.endStdin();
          else if (type === frame.resize && payload.length === 4)
            program.resize(payload.readUInt16BE(0), payload.readUInt16BE(2));
        }
      } catch {
        client.destroy();
      }
    });
    client.once('close', () => {
      clients.delete(client);
      subscribers.delete(client);
      if (spec.stdinOnce && stdinUsed && wrote && !spec.tty) program.endStdin();
    });
  });
  program.onExit((exit: SpawnedExit) => {
    for (const stream of ['stdout', 'stderr'] as const) write(stream, cutters[stream].finish());
    log.close();
    const record: ShimExit = { ...exit, finishedMs: nodeClock.now() };
    writeFileSync(`${spec.exitFile}.new`, JSON.stringify(record));
    renameSync(`${spec.exitFile}.new`, spec.exitFile);
    const bytes = encodeShimFrame(frame.exit, Buffer.from(JSON.stringify(record)));
    for (const client of clients) client.end(bytes);
    server.close();
    rmSync(spec.socket, { force: true });
    // Clients that do not take their last bytes are not waited for.
    nodeClock.setTimeout(() => process.exit(0), clients.size === 0 ? 0 : 2_000);
  });
  rmSync(spec.socket, { force: true });
  server.listen(spec.socket, () => {
    chmodSync(spec.socket, 0o600);
    say({ pid: program.pid, startedMs });
    process.stdout.end();
  });
}

/** RFC 3339 with nine digits: microseconds are what the clock gives, further digits keep lines of one instant apart. */
let lastMicros = 0n;
function preciseTime(): string {
  const micros = BigInt(Math.floor(nodeClock.now() * 1000));
  lastMicros = micros > lastMicros ? micros : lastMicros;
  const iso = new Date(Number(lastMicros / 1000n)).toISOString();
  return `${iso.slice(0, 20)}${iso.slice(20, 23)}${String(lastMicros % 1000n).padStart(3, '0')}000Z`;
}

await main(process.argv[2] as string);
