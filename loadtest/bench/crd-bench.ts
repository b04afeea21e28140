import { mkdtempSync } from 'node:fs';
import path from 'node:path';
import { ensurePki } from '@pilothouse/host';
import { openApiV2ProtobufAccept } from '@pilothouse/serializer';
import type { ApiClient } from './api-client.ts';
import { startApiSide } from './api-servers.ts';
import type { Side } from './measure.ts';
import type { Upstream } from './programs.ts';
import { pause } from './server-process.ts';

export interface DefinitionsBenchOptions {
  readonly directory: string;
  /** CustomResourceDefinitions of one group, each with 40 fields, a list and a rule. */
  readonly definitions: number;
  readonly nodeArguments: readonly string[];
}

const group = 'many.example.com';
const definitionsPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const settleMs = 5000;

function definition(index: number): Buffer {
  const fields = Object.fromEntries(
    Array.from({ length: 40 }, (_, number) => [
      `f${number}`,
      { type: 'string', description: `a field of the thing, number ${number}`, maxLength: 100 },
    ]),
  );
  const items = {
    type: 'array',
    maxItems: 20,
    items: { type: 'object', properties: { a: { type: 'string', maxLength: 20 }, b: { type: 'integer' } } },
    'x-kubernetes-validations': [{ rule: 'self.all(x, !has(x.b) || x.b > 0)' }],
  };
  const spec = { type: 'object', properties: { ...fields, items } };
  return Buffer.from(
    JSON.stringify({
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `k${index}s.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: `k${index}s`, kind: `K${index}` },
        versions: [
          {
            name: 'v1',
            served: true,
            storage: true,
            schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
          },
        ],
      },
    }),
  );
}

interface Figures {
  readonly created: number;
  readonly established: number;
  readonly served: number;
  readonly kib: number;
  readonly openApiMs: number;
  readonly openApiV2Ms: number;
  /** Another client's, one after the other, while the documents were made. */
  readonly longestGetMs: number;
  readonly cpuSeconds: number;
}

/** Rows of a table: many definitions made one after the other, until the last is established and served. */
export async function benchDefinitions(
  upstream: Upstream,
  options: DefinitionsBenchOptions,
): Promise<(readonly string[])[]> {
  const { etcd, kubeApiserver } = upstream;
  const ours = await measure('ours', undefined, options);
  const stock =
    etcd === undefined || kubeApiserver === undefined
      ? undefined
      : await measure('upstream', { etcd, kubeApiserver }, options);
  const row = (name: string, of: (figures: Figures) => string): string[] => [
    name,
    of(ours),
    stock === undefined ? '' : of(stock),
  ];
  const seconds = (value: number): string => `${value.toFixed(1)} s`;
  return [
    row(`${options.definitions} created, one after the other`, (each) => seconds(each.created)),
    row('all established', (each) => seconds(each.established)),
    row('the last one served', (each) => seconds(each.served)),
    row('CPU of the API server', (each) => seconds(each.cpuSeconds)),
    row('RSS for each', (each) => `${each.kib.toFixed(0)} KiB`),
    row('first OpenAPI v3 document of the group', (each) => `${each.openApiMs.toFixed(0)} ms`),
    row('first OpenAPI v2 document, protobuf', (each) => `${each.openApiV2Ms.toFixed(0)} ms`),
    row('longest of the GETs meanwhile', (each) => `${each.longestGetMs.toFixed(0)} ms`),
  ];
}

async function measure(
  side: Side,
  programs: { readonly etcd: string; readonly kubeApiserver: string } | undefined,
  options: DefinitionsBenchOptions,
): Promise<Figures> {
  const directory = mkdtempSync(path.join(options.directory, 'crds-'));
  const pki = await ensurePki(path.join(directory, 'pki'), { serviceAddress: '10.0.0.1' });
  const apiSide = await startApiSide(side, pki, directory, programs, options.nodeArguments);
  const client = await apiSide.connect(1);
  try {
    const before = apiSide.server.usage();
    const start = performance.now();
    const since = (): number => (performance.now() - start) / 1000;
    for (let index = 0; index < options.definitions; index++)
      await client.expect(201, 'POST', definitionsPath, definition(index));
    const created = since();
    while ((await establishedCount(client)) < options.definitions) await pause(100);
    const established = since();
    const last = `/apis/${group}/v1/namespaces/default/k${options.definitions - 1}s`;
    while ((await client.call('GET', last)).status !== 200) await pause(50);
    const served = since();
    const { cpuSeconds } = apiSide.server.usage();
    await pause(settleMs);
    const kib = ((apiSide.server.usage().rssMiB - before.rssMiB) * 1024) / options.definitions;
    const other = await apiSide.connect(1);
    let isBuilding = true;
    let longestGetMs = 0;
    const gets = (async () => {
      while (isBuilding) {
        const startMs = performance.now();
        await other.expect(200, 'GET', '/api/v1/namespaces/default?resourceVersion=0');
        longestGetMs = Math.max(longestGetMs, performance.now() - startMs);
        await pause(5);
      }
    })();
    const timed = async (url: string, accept: string): Promise<number> => {
      const asked = performance.now();
      await client.expect(200, 'GET', url, undefined, { keepBody: false, accept });
      return performance.now() - asked;
    };
    try {
      const openApiMs = await timed(`/openapi/v3/apis/${group}/v1`, 'application/json');
      const openApiV2Ms = await timed('/openapi/v2', openApiV2ProtobufAccept);
      isBuilding = false;
      await gets;
      const used = cpuSeconds - before.cpuSeconds;
      return { created, established, served, kib, openApiMs, openApiV2Ms, longestGetMs, cpuSeconds: used };
    } finally {
      isBuilding = false;
      await gets.catch(() => {});
      other.close();
    }
  } finally {
    client.close();
    await apiSide.stop();
  }
}

interface Listed {
  readonly items: readonly {
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }[];
}

async function establishedCount(client: ApiClient): Promise<number> {
  const list = JSON.parse((await client.expect(200, 'GET', definitionsPath)).toString()) as Listed;
  return list.items.filter((item) =>
    item.status?.conditions?.some(({ type, status }) => type === 'Established' && status === 'True'),
  ).length;
}
