import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { parseArgs } from 'node:util';
import { ensurePki } from '@pilothouse/host';
import { SeededRandom } from '@pilothouse/testkit';
import { startApiSide } from '../../loadtest/bench/api-servers.ts';
import { pause } from '../../loadtest/bench/server-process.ts';
import type { Credentials } from '../differential/client.ts';
import { Client } from '../differential/client.ts';
import { collectionPath, loadSamples } from '../differential/objects.ts';
import type { Request } from './payloads.ts';
import { RequestMaker } from './payloads.ts';

const usage = `npm run fuzz -- [--seconds N] [--seed S] [--url URL --pki DIR]

Sends bad bodies, paths, queries, headers and patches to an API server (started here unless a URL is given). Fails when an answer is an
internal error, when nothing is answered in time, when the server ends, or when its memory grows.
`;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    url: { type: 'string' },
    pki: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

/** No answer may take longer; watches are asked to end after a second. */
const answerMsMax = 15_000;
/** Growth of the server's memory from the end of the warm-up to the end of the run. */
const growthMiBMax = 100;
const memorySamples = 8;
const lanes = 6;
const namespace = 'fuzz';

/** Upstream answers these faults of a client with 500 too; see docs/compatibility.md. */
const knownInternal = [
  /strconv\.ParseUint: parsing/,
  /resourceVersion should not be set on objects to be created/,
  /failed to create typed patch object/,
  /failed to convert new object/,
  /order in patch list/,
  /does not match declared merge key|delete patch type with no merge key|map: map\[.*\] does not contain declared merge key/,
  /list of lists|cannot use a list of primitives|expected to be a list/i,
  /unable to find api field in struct/,
  /invalid resource version/,
  /list element types are not identical/,
  /unknown patch type: .* in map/s,
];

interface Finding {
  readonly what: string;
  readonly request: Request;
}

function send(
  url: string,
  credentials: Credentials,
  agent: https.Agent,
  request: Request,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const finish = (finding?: string): void => {
      clearTimeout(timer);
      resolve(finding);
    };
    const timer = setTimeout(() => finish(`no answer within ${answerMsMax / 1000} s`), answerMsMax);
    const { raw } = request;
    if (raw !== undefined) {
      const { hostname, port } = new URL(url);
      const socket: tls.TLSSocket = tls.connect({ host: hostname, port: Number(port), ...credentials }, () =>
        socket.end(raw),
      );
      socket.on('data', () => undefined);
      socket.on('error', () => finish());
      socket.on('close', () => finish());
      // A request that never ends is no fault of the server.
      socket.setTimeout(1000, () => socket.destroy());
      return;
    }
    let call;
    try {
      call = https.request(`${url}${request.path}`, {
        method: request.method,
        agent,
        headers: {
          ...request.headers,
          ...(request.body === undefined ? {} : { 'content-length': request.body.length }),
        },
      });
    } catch {
      finish(); // Node's client refuses what no client could send.
      return;
    }
    call.on('error', (error: NodeJS.ErrnoException) =>
      finish(error.code === 'ECONNREFUSED' ? 'the server is gone' : undefined),
    );
    call.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('error', () => finish());
      response.on('end', () =>
        finish(judge(response.statusCode ?? 0, Buffer.concat(pieces).toString('utf8'))),
      );
    });
    call.end(request.body);
  });
}

function judge(status: number, body: string): string | undefined {
  // An error message may show how the body began.
  if (body.replaceAll('{"__proto__":{"polluted":true}', '').includes('"polluted":true'))
    return 'a prototype was polluted';
  if (status !== 500) return undefined;
  let message = body;
  try {
    message = (JSON.parse(body) as { message?: string }).message ?? body;
  } catch {
    // Not every error is JSON.
  }
  return knownInternal.some((known) => known.test(message)) ? undefined : `500: ${message.slice(0, 300)}`;
}

async function run(
  url: string,
  credentials: Credentials,
  rssMiB: () => number,
  ended: () => boolean,
): Promise<boolean> {
  const random = new SeededRandom(Number(values.seed));
  const samples = loadSamples(namespace);
  const client = new Client(url, credentials);
  await client.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } });
  await client.call('POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, {
    metadata: { name: 'default' },
  });
  for (const sample of samples)
    await client.call('POST', collectionPath(sample.resource, namespace), sample.object);
  const maker = new RequestMaker(random, samples, namespace);
  const agent = new https.Agent({ ...credentials, keepAlive: true, maxSockets: lanes });
  const findings: Finding[] = [];
  /** What the server's objects take; what a collector has left lying about is no growth, so the least of several counts. */
  const liveMiB = async (): Promise<number> => {
    let least = Infinity;
    for (let sample = 0; sample < memorySamples; sample++) {
      const { text } = await client.call('GET', '/metrics');
      const of = (name: string): number => {
        const found = new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1];
        if (found === undefined) throw new Error(`The server does not tell ${name}`);
        return Number(found);
      };
      const bytes = of('nodejs_heap_size_used_bytes') + of('nodejs_external_memory_bytes');
      least = Math.min(least, bytes / 1048576);
      await pause(400);
    }
    return least;
  };
  const started = performance.now();
  const totalMs = Number(values.seconds) * 1000;
  let sent = 0;
  let warm: Promise<number> | undefined;
  const lane = async (): Promise<void> => {
    while (performance.now() - started < totalMs && !ended()) {
      const request = maker.next();
      const what = await send(url, credentials, agent, request);
      sent++;
      if (what !== undefined) findings.push({ what, request });
      if (warm === undefined && performance.now() - started > totalMs * 0.4) warm = liveMiB();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  await pause(2000);
  const alive = await client.call('GET', '/livez').then(
    (answer) => answer.status === 200,
    () => false,
  );
  const end = await liveMiB();
  const before = (await warm) ?? end;
  client.close();
  agent.destroy();
  const kinds = new Map<string, Finding[]>();
  for (const finding of findings) kinds.set(finding.what, [...(kinds.get(finding.what) ?? []), finding]);
  for (const [what, all] of kinds) {
    const { request } = all[0] as Finding;
    process.stdout.write(
      `FAIL  ${all.length} × ${what}\n      ${request.method} ${request.path.slice(0, 300)} ${JSON.stringify(request.headers).slice(0, 300)}\n      ${(request.body ?? request.raw ?? Buffer.alloc(0)).toString('latin1').slice(0, 600)}\n`,
    );
  }
  if (!alive) process.stdout.write('FAIL  the server does not answer any more\n');
  const grew = end - before;
  if (grew > growthMiBMax) process.stdout.write(`FAIL  memory grew by ${grew.toFixed(0)} MiB\n`);
  process.stdout.write(
    `${sent} requests in ${values.seconds} s, seed ${values.seed}; live memory ${before.toFixed(0)} → ${end.toFixed(0)} MiB, resident ${rssMiB().toFixed(0)} MiB\n`,
  );
  const failed = kinds.size + (alive ? 0 : 1) + (grew > growthMiBMax ? 1 : 0);
  process.stdout.write(`fuzz: ${failed === 0 ? 1 : 0} passed, ${failed} failed\n`);
  return failed === 0;
}

let good: boolean;
if (values.url !== undefined && values.pki !== undefined) {
  const { pki } = values;
  const read = (name: string): string => readFileSync(path.join(pki, name), 'utf8');
  good = await run(
    values.url,
    { ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key') },
    () => 0,
    () => false,
  );
} else {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'fuzz-'));
  const pki = await ensurePki(path.join(directory, 'pki'), { serviceAddress: '10.0.0.1' });
  const side = await startApiSide('ours', pki, directory, undefined);
  try {
    const credentials = { ca: pki.ca.certPem, cert: pki.admin.certPem, key: pki.admin.keyPem };
    good = await run(
      side.url,
      credentials,
      () => side.server.usage().rssMiB,
      () => side.server.hasEnded,
    );
  } finally {
    await side.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}
process.exit(good ? 0 : 1);
