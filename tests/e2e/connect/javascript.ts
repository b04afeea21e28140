import { PassThrough } from 'node:stream';
import net from 'node:net';
import { Attach, Exec, KubeConfig, Log, PortForward, CoreV1Api } from '@kubernetes/client-node';
import type { V1Status } from '@kubernetes/client-node';
import type { Checks } from '../checks.ts';

function collect(stream: PassThrough): () => string {
  let text = '';
  stream.on('data', (piece: Buffer) => (text += piece.toString()));
  return () => text;
}

const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (let tries = 0; !holds(); tries++) {
    if (tries > 600) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
};

/** Exec, Attach, Log and PortForward of `@kubernetes/client-node`. */
export async function javascriptClient(
  checks: Checks,
  label: string,
  kubeconfig: string,
  namespace: string,
): Promise<void> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);

  await checks.check(`${label} javascript: Exec gives output and status`, async () => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const [out, err] = [collect(stdout), collect(stderr)];
    const status = await new Promise<V1Status>((resolve, reject) => {
      new Exec(config)
        .exec(
          namespace,
          'talker',
          'main',
          ['sh', '-c', 'echo out; echo err >&2; exit 4'],
          stdout,
          stderr,
          null,
          false,
          resolve,
        )
        .catch(reject);
    });
    if (status.status !== 'Failure' || status.details?.causes?.[0]?.message !== '4')
      throw new Error(JSON.stringify(status));
    await until('output', () => out() === 'out\n' && err() === 'err\n');
  });

  await checks.check(`${label} javascript: Attach reaches stdin`, async () => {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()];
    const out = collect(stdout);
    const socket = await new Attach(config).attach(namespace, 'listener', 'main', stdout, null, stdin, false);
    stdin.write('hello by javascript\n');
    await until('the answer', () => out().includes('got hello by javascript'));
    socket.close();
  });

  await checks.check(`${label} javascript: Log follows`, async () => {
    const stream = new PassThrough();
    const text = collect(stream);
    const controller = await new Log(config).log(namespace, 'talker', 'main', stream, {
      follow: true,
      tailLines: 1,
    });
    await until('three lines', () => text().split('\n').length > 3);
    controller.abort();
  });

  await checks.check(`${label} javascript: PortForward carries bytes both ways`, async () => {
    const pods = await config
      .makeApiClient(CoreV1Api)
      .listNamespacedPod({ namespace, labelSelector: 'app=web' });
    const pod = pods.items[0]?.metadata?.name ?? '';
    const forward = new PortForward(config);
    const server = net.createServer((socket) => {
      void forward.portForward(namespace, pod, [9090], socket, null, socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
      let text = '';
      socket.on('data', (piece: Buffer) => (text += piece.toString()));
      socket.write('through javascript');
      await until('the echo', () => text === 'through javascript');
      socket.destroy();
    } finally {
      server.close();
    }
  });
}
