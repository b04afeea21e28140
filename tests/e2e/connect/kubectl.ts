import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { WebSocket } from 'ws';
import type { Checks, CommandResult } from '../checks.ts';
import { expectResult, run } from '../checks.ts';
import { Terminal } from './terminal.ts';

export interface Session {
  readonly kubectl: string;
  readonly kubeconfig: string;
  readonly namespace: string;
}

export const kubectlOf =
  ({ kubectl, kubeconfig, namespace }: Session) =>
  (args: readonly string[], input?: string): Promise<CommandResult> =>
    run(kubectl, ['--kubeconfig', kubeconfig, '-n', namespace, ...args], {
      timeoutMs: 120_000,
      ...(input === undefined ? {} : { input }),
    });

/** A program that goes on in the background, e.g. port-forward; `pattern` in its output says that it is ready. */
export async function inBackground<T>(
  program: string,
  args: readonly string[],
  pattern: RegExp,
  body: (match: RegExpExecArray) => Promise<T>,
): Promise<T> {
  const child = spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
  child.stderr.on('data', (piece: Buffer) => (text += piece.toString()));
  try {
    for (let tries = 0; !pattern.test(text); tries++) {
      if (tries > 600) throw new Error(`${args.join(' ')} is not ready: ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return await body(pattern.exec(text) as RegExpExecArray);
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
  }
}

/** Logs in every form that kubectl has. */
export async function logs(checks: Checks, label: string, session: Session): Promise<void> {
  const kubectl = kubectlOf(session);
  await checks.check(`${label} logs: tail, since, timestamps, prefix`, async () => {
    expectResult('tail', await kubectl(['logs', 'talker', '-c', 'main', '--tail=2', '--timestamps']), {
      matches: [/^\d{4}-\d\d-\d\dT\S+Z tick \d+\n\d{4}\S+ tick \d+\n$/],
    });
    const since = await kubectl(['logs', 'talker', '-c', 'main', '--since=1s']);
    expectResult('since', since, { matches: [/tick/], lacks: [/started/] });
    expectResult('limit', await kubectl(['logs', 'talker', '-c', 'main', '--limit-bytes=4']), {
      matches: [/^star$/],
    });
  });
  await checks.check(`${label} logs --all-containers`, async () => {
    expectResult('all', await kubectl(['logs', 'talker', '--all-containers', '--prefix']), {
      matches: [/first\] from init/, /main\] started/, /main\] problem/, /second\] second container/],
    });
  });
  await checks.check(`${label} logs --previous of a container that fails again and again`, async () => {
    expectResult('previous', await kubectl(['logs', 'crasher', '--previous']), {
      matches: [/^about to fail\n$/],
    });
    expectResult('none', await kubectl(['logs', 'talker', '-c', 'second', '--previous']), {
      code: 1,
      matches: [/BadRequest\): previous terminated container "second" in pod "talker" not found/],
    });
  });
  await checks.check(`${label} logs -f follows to the end of the pod`, async () => {
    const name = `follow-${Math.random().toString(36).slice(2, 8)}`;
    const script = 'for i in 1 2 3 4 5; do echo step $i; sleep 0.2; done';
    await kubectl(['run', name, '--image=host', '--restart=Never', '--command', '--', 'sh', '-c', script]);
    await kubectl(['wait', `pod/${name}`, '--for=jsonpath={.status.containerStatuses[0].image}=host']);
    const followed = await kubectl(['logs', '-f', name, '--pod-running-timeout=10s']);
    await kubectl(['delete', 'pod', name, '--now', '--wait=false']);
    expectResult('follow', followed, { matches: [/^step 1\nstep 2\nstep 3\nstep 4\nstep 5\n$/] });
  });
}

/** exec, attach, cp, debug, run -it. */
export async function commands(checks: Checks, label: string, session: Session): Promise<void> {
  const kubectl = kubectlOf(session);
  const exec = (args: readonly string[], input?: string): Promise<CommandResult> =>
    kubectl(['exec', ...(input === undefined ? [] : ['-i']), 'talker', '-c', 'main', '--', ...args], input);
  await checks.check(`${label} exec: output, environment, volumes, exit status`, async () => {
    expectResult('env', await exec(['sh', '-c', 'echo $BOTH; cat etc/app/greeting; pwd; echo $POD_IP']), {
      matches: [/^hello from node-\d\nhello.*\/root\n127\.\d+\.\d+\.\d+\n$/s],
    });
    expectResult('status', await exec(['sh', '-c', 'exit 42']), { code: 42, matches: [/exit code 42/] });
    expectResult('missing', await exec(['no-such-program']), {
      code: 1,
      matches: [/executable file not found in \$PATH/],
    });
  });
  await checks.check(`${label} exec -i: 4 MiB through cat`, async () => {
    const input = '0123456789abcde\n'.repeat(1 << 18);
    const result = await exec(['cat'], input);
    if (result.stdout !== input) throw new Error(`${result.stdout.length} bytes came back ${result.stderr}`);
  });
  await checks.check(`${label} exec -it: a terminal with size, resize and exit status`, async () => {
    const terminal = new Terminal(
      session.kubectl,
      [
        '--kubeconfig',
        session.kubeconfig,
        '-n',
        session.namespace,
        'exec',
        '-it',
        'talker',
        '-c',
        'main',
        '--',
        'sh',
      ],
      { cols: 101, rows: 31 },
    );
    await terminal.expect(/[#$] /);
    terminal.type('stty size; echo a$((1+1))b\r');
    await terminal.expect(/31 101\s+a2b/);
    terminal.resize(77, 22);
    await new Promise((resolve) => setTimeout(resolve, 500));
    terminal.type('stty size\r');
    await terminal.expect(/22 77/);
    terminal.type('exit 7\r');
    const code = await terminal.exit;
    if (code !== 7) throw new Error(`kubectl ended with ${code}`);
  });
  await checks.check(`${label} attach -i reaches the container`, async () => {
    const attach = ['--kubeconfig', session.kubeconfig, '-n', session.namespace, 'attach', '-i', 'listener'];
    const child = spawn(session.kubectl, attach, { stdio: ['pipe', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (piece: Buffer) => (text += piece.toString()));
    child.stdin.write('hello by kubectl\n');
    for (let tries = 0; !text.includes('got hello by kubectl') && tries < 600; tries++)
      await new Promise((resolve) => setTimeout(resolve, 100));
    child.kill('SIGKILL');
    if (!text.includes('got hello by kubectl')) throw new Error(`attached output: ${text}`);
  });
  await checks.check(`${label} cp to the pod and back, a directory and its bytes`, async () => {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-cp-'));
    try {
      mkdirSync(path.join(directory, 'in', 'deep'), { recursive: true });
      const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7) % 256));
      writeFileSync(path.join(directory, 'in', 'deep', 'data.bin'), bytes);
      expectResult(
        'to',
        await kubectl(['cp', '-c', 'main', path.join(directory, 'in'), 'talker:scratch/copied']),
        {},
      );
      expectResult(
        'from',
        await kubectl(['cp', '-c', 'main', 'talker:scratch/copied', path.join(directory, 'out')]),
        {},
      );
      const back = readFileSync(path.join(directory, 'out', 'deep', 'data.bin'));
      if (!back.equals(bytes)) throw new Error(`${back.length} other bytes came back`);
      await exec(['rm', '-r', 'scratch/copied']);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
  await checks.check(`${label} debug adds a container to a running pod`, async () => {
    const debug = await kubectl(
      ['debug', 'talker', '--image=host', '--target=main', '-i', '-q', '--profile=general', '--', 'sh'],
      'sleep 1; echo in $HOSTNAME; cat etc/app/greeting; exit\n',
    );
    expectResult('debug', debug, { matches: [/in talker/, /hello/] });
  });
  await checks.check(`${label} run -it --rm gives a shell and cleans up`, async () => {
    const name = `shell-${Math.random().toString(36).slice(2, 8)}`;
    const args = ['run', name, '-it', '--rm', '--image=host', '--restart=Never', '--command', '--', 'sh'];
    const terminal = new Terminal(
      session.kubectl,
      ['--kubeconfig', session.kubeconfig, '-n', session.namespace, ...args],
      { cols: 90, rows: 20 },
    );
    await terminal.expect(/[#$] |pressing enter/, 60_000);
    terminal.type('\recho x$((40+2))y\r');
    await terminal.expect(/x42y/);
    terminal.type('exit\r');
    await terminal.expect(/deleted/, 60_000);
    await terminal.exit;
  });
}

/** port-forward, and a web app through `kubectl proxy`. */
export async function web(checks: Checks, label: string, session: Session): Promise<void> {
  const base = ['--kubeconfig', session.kubeconfig, '-n', session.namespace];
  await checks.check(`${label} port-forward: several connections, bytes both ways`, async () => {
    const args = [...base, 'port-forward', 'deployment/web', ':9090', ':8080'];
    await inBackground(
      session.kubectl,
      args,
      /127\.0\.0\.1:(\d+) -> 9090[\s\S]*127\.0\.0\.1:(\d+) -> 8080/,
      async (match) => {
        await Promise.all([1, 2, 3, 4].map((n) => echo(Number(match[1]), Buffer.alloc(200_000, 0x60 + n))));
        const page = await fetch(`http://127.0.0.1:${match[2]}/echo`, {
          method: 'POST',
          body: 'x'.repeat(100_000),
        });
        const { length } = (await page.json()) as { length: number };
        if (length !== 100_000) throw new Error(`${length} bytes arrived`);
      },
    );
  });
  await checks.check(`${label} port-forward to a port without a listener says why`, async () => {
    const args = [...base, 'port-forward', 'deployment/web', ':9999'];
    await inBackground(session.kubectl, args, /127\.0\.0\.1:(\d+) -> 9999/, async (match) => {
      await fetch(`http://127.0.0.1:${match[1]}/`).then(
        () => Promise.reject(new Error('somebody answered')),
        () => undefined,
      );
    });
  });
  await checks.check(`${label} a dashboard opens through kubectl proxy`, async () => {
    await inBackground(
      session.kubectl,
      [...base, 'proxy', '--port=0'],
      /127\.0\.0\.1:(\d+)/,
      async (match) => {
        const origin = `http://127.0.0.1:${match[1]}`;
        const prefix = `/api/v1/namespaces/${session.namespace}/services/web:http/proxy`;
        const bare = await fetch(`${origin}${prefix}`, { redirect: 'manual' });
        if (bare.status !== 301 || bare.headers.get('location') !== `${prefix}/`)
          throw new Error(`without a slash: ${bare.status} ${bare.headers.get('location')}`);
        const page = await (await fetch(`${origin}${prefix}/`)).text();
        for (const wanted of [
          `href="${prefix}/style.css"`,
          `src="${prefix}/app.js"`,
          `href="${prefix}/items/1?x=1&amp;y=2"`,
          'href="items/2"',
          'href="https://example.org/"',
        ])
          if (!page.includes(wanted)) throw new Error(`No ${wanted} in ${page}`);
        const moved = await fetch(`${origin}${prefix}/old`, { redirect: 'manual' });
        if (moved.headers.get('location') !== `${prefix}/new`)
          throw new Error(`redirected to ${moved.headers.get('location')}`);
        const answer = await fetch(`${origin}${prefix}/echo?a=b%20c`, { method: 'PUT', body: 'body' });
        const seen = (await answer.json()) as {
          method: string;
          url: string;
          length: number;
          headers: Record<string, string>;
        };
        if (seen.method !== 'PUT' || seen.length !== 4 || !/^\/echo\?a=b(\+|%20)c$/.test(seen.url))
          throw new Error(JSON.stringify(seen));
        if (
          seen.headers['x-forwarded-uri'] !== `${prefix}/echo` ||
          seen.headers['authorization'] !== undefined
        )
          throw new Error(JSON.stringify(seen.headers));
        await webSocket(`ws://127.0.0.1:${match[1]}${prefix}/socket`);
      },
    );
  });
}

function echo(port: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1');
    const pieces: Buffer[] = [];
    let length = 0;
    socket.setTimeout(40_000, () => socket.destroy(new Error(`only ${length} bytes came back`)));
    socket.once('error', reject);
    socket.on('data', (piece: Buffer) => {
      pieces.push(piece);
      length += piece.length;
      if (length < bytes.length) return;
      socket.destroy();
      if (Buffer.concat(pieces).equals(bytes)) resolve();
      else reject(new Error('other bytes came back'));
    });
    socket.write(bytes);
  });
}

function webSocket(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.once('open', () => socket.send('hello'));
    socket.once('message', (data: Buffer) => {
      socket.terminate();
      if (data.toString() === 'HELLO') resolve();
      else reject(new Error(data.toString()));
    });
    socket.once('error', reject);
  });
}
