import http from 'node:http';
import https from 'node:https';
import http2 from 'node:http2';
import net from 'node:net';
import type { Clock } from '@pilothouse/base';
import type { Container, Handler, HttpGetAction } from '../../core/pod-shape.ts';
import { spawnProgram } from './spawned.ts';
import { killGroup } from './spawned.ts';

/** Where handlers run: the environment of the container and the address of its pod. */
export interface HandlerContext {
  readonly container: Container;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly podIp: string;
  readonly clock: Clock;
}

export interface HandlerResult {
  readonly ok: boolean;
  /** What to say in an event when it is not ok. */
  readonly message: string;
}

const outputBytesMax = 10 * 1024;

/** Runs the handler of a probe or hook. Never rejects; a handler that takes longer than `timeoutMs` has failed. */
export async function runHandler(
  handler: Handler,
  context: HandlerContext,
  timeoutMs: number,
): Promise<HandlerResult> {
  const { podIp } = context;
  if (handler.exec) {
    const result = await runCommand(handler.exec.command ?? [], context, timeoutMs);
    return { ok: result.exitCode === 0, message: result.output };
  }
  if (handler.httpGet) return httpGet(handler.httpGet, context, timeoutMs);
  if (handler.tcpSocket) {
    const port = portOf(handler.tcpSocket.port, context.container);
    return tcpConnect(handler.tcpSocket.host || podIp, port, timeoutMs, context.clock);
  }
  if (handler.grpc) return grpcCheck(podIp, handler.grpc.port, handler.grpc.service ?? '', timeoutMs);
  if (handler.sleep) {
    const { seconds } = handler.sleep;
    await new Promise<void>((resolve) => {
      context.clock.setTimeout(resolve, Math.min(seconds * 1000, timeoutMs));
    });
    return { ok: true, message: '' };
  }
  return { ok: false, message: 'the handler says nothing to do' };
}

export function portOf(port: number | string, container: Container): number {
  if (typeof port === 'number' || /^\d+$/.test(port)) return Number(port);
  return container.ports?.find((each) => each.name === port)?.containerPort ?? 0;
}

/** A command in the container's surroundings, to its end. */
export async function runCommand(
  command: readonly string[],
  context: Pick<HandlerContext, 'env' | 'cwd' | 'clock'>,
  timeoutMs: number,
): Promise<{ exitCode: number; output: string }> {
  try {
    const program = await spawnProgram(
      { argv: command, env: context.env, cwd: context.cwd, tty: false, stdin: false },
      (delayMs, then) => void context.clock.setTimeout(then, delayMs),
    );
    let output = '';
    program.onOutput((_stream, data) => {
      if (output.length < outputBytesMax) output += data.toString();
    });
    let late = false;
    const timer = context.clock.setTimeout(() => {
      late = true;
      killGroup(program.pid, 'SIGKILL');
    }, timeoutMs);
    const { exitCode } = await new Promise<{ exitCode: number }>((resolve) => program.onExit(resolve));
    timer.cancel();
    return late
      ? { exitCode: 124, output: `command timed out after ${timeoutMs / 1000}s` }
      : { exitCode, output };
  } catch (error) {
    return { exitCode: 126, output: error instanceof Error ? error.message : String(error) };
  }
}

function httpGet(action: HttpGetAction, context: HandlerContext, timeoutMs: number): Promise<HandlerResult> {
  const secure = (action.scheme ?? 'HTTP').toUpperCase() === 'HTTPS';
  const host = action.host || context.podIp;
  const port = portOf(action.port, context.container);
  const path = action.path?.startsWith('/') === true ? action.path : `/${action.path ?? ''}`;
  const url = `${secure ? 'https' : 'http'}://${host}:${port}${path}`;
  const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.36', accept: '*/*' };
  for (const header of action.httpHeaders ?? []) headers[header.name.toLowerCase()] = header.value ?? '';
  return new Promise((resolve) => {
    const get = secure ? https.get : http.get;
    const request = get(
      {
        host,
        port,
        path,
        headers,
        timeout: timeoutMs,
        agent: false,
        ...(secure ? { rejectUnauthorized: false } : {}),
      },
      (response) => {
        response.resume();
        const status = response.statusCode ?? 0;
        const ok = status >= 200 && status < 400;
        resolve({ ok, message: ok ? '' : `HTTP probe failed with statuscode: ${status}` });
      },
    );
    request.on('timeout', () => request.destroy(new Error('context deadline exceeded')));
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ ok: false, message: `Get "${url}": ${networkText(error, host, port)}` }),
    );
  });
}

function networkText(error: NodeJS.ErrnoException, host: string, port: number): string {
  return error.code === 'ECONNREFUSED'
    ? `dial tcp ${host}:${port}: connect: connection refused`
    : error.message;
}

function tcpConnect(host: string, port: number, timeoutMs: number, clock: Clock): Promise<HandlerResult> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port });
    const timer = clock.setTimeout(() => socket.destroy(new Error('i/o timeout')), timeoutMs);
    const end = (result: HandlerResult): void => {
      timer.cancel();
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', () => end({ ok: true, message: '' }));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end({ ok: false, message: networkText(error, host, port) }),
    );
  });
}

/** grpc.health.v1.Health/Check: field 1 of the request is the service, field 1 of the answer the state, 1 is SERVING. */
function grpcCheck(host: string, port: number, service: string, timeoutMs: number): Promise<HandlerResult> {
  const name = Buffer.from(service);
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const body = Buffer.alloc(5 + message.length);
  body.writeUInt32BE(message.length, 1);
  message.copy(body, 5);
  return new Promise((resolve) => {
    const session = http2.connect(`http://${host}:${port}`);
    const end = (result: HandlerResult): void => {
      session.destroy();
      resolve(result);
    };
    session.setTimeout(timeoutMs, () =>
      end({ ok: false, message: 'timeout: health rpc did not complete in time' }),
    );
    session.on('error', (error: NodeJS.ErrnoException) =>
      end({
        ok: false,
        message: `failed to connect service "${host}:${port}": ${networkText(error, host, port)}`,
      }),
    );
    const call = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const pieces: Buffer[] = [];
    call.on('data', (piece: Buffer) => pieces.push(piece));
    call.on('error', () => undefined);
    call.on('close', () => {
      const answer = Buffer.concat(pieces);
      const serving = answer.length >= 7 && answer[5] === 0x08 && answer[6] === 1;
      end({
        ok: serving,
        message: serving ? '' : 'service unhealthy (responded with "NOT_SERVING" or an error)',
      });
    });
    call.end(body);
  });
}
