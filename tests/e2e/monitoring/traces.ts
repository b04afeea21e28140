import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import type { CollectedSpan } from '@pilothouse/testkit';
import { OtlpCollector } from '@pilothouse/testkit';
import type { Checks } from '../checks.ts';
import { startPlane } from '../plane.ts';

/** One write through a plane, followed from the API server through the store to Raft by a collector of spans. */
export async function traces(checks: Checks, port: number): Promise<void> {
  const collector = new OtlpCollector();
  await collector.start();
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-traces-'));
  const file = path.join(directory, 'tracing.yaml');
  writeFileSync(
    file,
    `apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\nendpoint: localhost:${collector.port}\nsamplingRatePerMillion: 0\n`,
  );
  const plane = await startPlane({
    port,
    args: [
      '--replicas=1',
      '--nodes=0',
      `--apiserver-arg=--tracing-config-file=${file}`,
      '--store-arg=--enable-distributed-tracing',
      `--store-arg=--distributed-tracing-address=localhost:${collector.port}`,
    ],
  });
  const pki = (name: string): Buffer => readFileSync(path.join(plane.dataDir, 'pki', name));
  const create = (name: string, traceparent: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = https.request(
        `${plane.server}/api/v1/namespaces/default/configmaps`,
        {
          method: 'POST',
          headers: { 'content-type': 'application/json', traceparent },
          ca: pki('ca.crt'),
          cert: pki('admin.crt'),
          key: pki('admin.key'),
        },
        (response) => {
          response.resume();
          response.on('end', () => resolve(response.statusCode ?? 0));
        },
      );
      request.on('error', reject);
      request.end(JSON.stringify({ kind: 'ConfigMap', apiVersion: 'v1', metadata: { name } }));
    });
  const trace = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa';
  try {
    await checks.check('a request with a recorded caller is answered', async () => {
      for (const [name, id, flags] of [
        ['recorded', trace, '01'],
        ['not-recorded', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '00'],
      ] as const) {
        const status = await create(name, `00-${id}-cccccccccccccccc-${flags}`);
        if (status !== 201) throw new Error(`${name}: ${status}`);
      }
    });
    const named = (name: string): CollectedSpan => {
      const found = collector.spans.find((span) => span.traceId === trace && span.name === name);
      if (found === undefined)
        throw new Error(`No ${name} among ${collector.spans.map((span) => span.name).join(', ')}`);
      return found;
    };
    await checks.check(
      'the spans of API server, store and Raft hang together',
      () => {
        const chain = [
          'POST /api/v1/namespaces/{:namespace}/configmaps',
          'create etcd3',
          'etcdserverpb.KV/Txn',
          'raft.propose',
        ].map(named);
        let above = 'cccccccccccccccc';
        for (const { name, parentId, spanId } of chain) {
          if (parentId !== above) throw new Error(`${name} has the parent ${parentId}, not ${above}`);
          above = spanId;
        }
        const services = chain.map(({ service }) => service).join();
        if (services !== 'apiserver,apiserver,etcd,etcd') throw new Error(services);
        return Promise.resolve();
      },
      15_000,
    );
    await checks.check('nothing else was recorded', () => {
      const others = collector.spans.filter((span) => span.traceId !== trace);
      return others.length === 0 ? Promise.resolve() : Promise.reject(new Error(JSON.stringify(others)));
    });
  } finally {
    await plane.stop();
    collector.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
