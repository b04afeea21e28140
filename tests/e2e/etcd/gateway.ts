import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../tools.ts';
import { Cluster, findEtcd } from './cluster.ts';
import { gatewayCases, type GatewayCase } from './gateway-cases.ts';

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** One member and what its answers were caught with. */
class Target {
  readonly #endpoint: string;
  readonly #words: Record<string, string> = {};

  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  #fill(text: string): string {
    return text.replace(/\{(\w+)\}/g, (whole, word: string) => this.#words[word] ?? whole);
  }

  async send(test: GatewayCase): Promise<Answer> {
    const body = typeof test.body === 'string' ? test.body : JSON.stringify(test.body);
    const stop = new AbortController();
    // A stream is read until nothing has come for a while; a busy machine may take long for its first piece.
    const wait = (ms: number): NodeJS.Timeout => setTimeout(() => stop.abort(), ms);
    let timer = wait(test.readMs === undefined ? 20_000 : 5_000);
    const goOn = (): void => {
      if (test.readMs === undefined) return;
      clearTimeout(timer);
      timer = wait(test.readMs);
    };
    const headers = Object.fromEntries(
      Object.entries(test.headers ?? {}).map(([name, value]) => [name, this.#fill(value)]),
    );
    let text = '';
    let response: Response | undefined;
    try {
      response = await fetch(`${this.#endpoint}/v3/${test.path}`, {
        method: test.method ?? 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        ...(test.method === 'GET' ? {} : { body: this.#fill(body ?? '') }),
        signal: stop.signal,
      });
      const decoder = new TextDecoder();
      goOn();
      for await (const piece of response.body ?? []) {
        text += decoder.decode(piece as Uint8Array, { stream: true });
        goOn();
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error;
      if (test.readMs === undefined) text += ' (no end within 20 s)';
    } finally {
      clearTimeout(timer);
    }
    for (const [word, pattern] of Object.entries(test.capture ?? {}))
      this.#words[word] = pattern.exec(text)?.[1] ?? `no-${word}`;
    return {
      status: response?.status ?? 0,
      contentType: response?.headers.get('content-type') ?? '',
      text,
    };
  }
}

/** Without what must differ between two clusters; members of JSON objects in order. */
function tidy(answer: Answer): string {
  const lines = answer.text.split('\n').map((line) => {
    try {
      return JSON.stringify(JSON.parse(line), (_key, value: unknown) =>
        typeof value === 'object' && value !== null && !Array.isArray(value)
          ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
          : value,
      );
    } catch {
      return line;
    }
  });
  return (
    `${answer.status} ${answer.contentType}\n${lines.join('\n').trim()}`
      .replace(/"(cluster_id|member_id|raft_term|ID|memberID|leader|raftTerm)":"\d{1,20}"/g, '"$1":"<n>"')
      .replace(/127\.0\.0\.1:\d+/g, '<address>')
      .replace(/[A-Za-z]{16}\.\d+/g, '<token>')
      .replace(/"(lease)":"\d{12,}"/g, '"$1":"<n>"')
      // From 3.6 on errors are told once.
      .replace(/"error":"((?:[^"\\]|\\.)*)",("message":"\1")/g, '$2')
      // Keys of locks and elections end with the ID of a lease.
      .replace(/"(key)":"(?:bC[89]|ZS[89]|Lz)[A-Za-z0-9+/=]+"/g, '"$1":"<key>"')
  );
}

/** Sends every request to a real etcd and to our store and writes docs/gateway.md. True when nothing differs unexplained. */
export async function gatewayBattery(port: number): Promise<boolean> {
  const programs = await findEtcd();
  const theirs = new Cluster({ side: 'etcd', programs, port, size: 1 });
  const ours = new Cluster({ side: 'pilothouse', programs, port: port + 10, size: 1 });
  const rows = new Map<string, { tried: number; same: number; readonly differences: string[] }>();
  let unexplained = 0;
  try {
    await Promise.all([theirs.start(), ours.start()]);
    const [wanted, got] = [new Target(theirs.address(0).client), new Target(ours.address(0).client)];
    for (const test of gatewayCases) {
      const answers = await Promise.all([wanted.send(test), got.send(test)]);
      const row = rows.get(test.area) ?? { tried: 0, same: 0, differences: [] };
      rows.set(test.area, row);
      row.tried++;
      const [a, b] = test.statusOnly ? answers.map(({ status }) => String(status)) : answers.map(tidy);
      if (a === b) {
        row.same++;
        continue;
      }
      if (test.differs === undefined) unexplained++;
      row.differences.push(`${test.what}: ${test.differs ?? 'UNEXPLAINED'}`);
      process.stdout.write(
        `${test.differs === undefined ? 'DIFF' : 'diff'}  ${test.path}: ${test.what}\n  etcd       ${a}\n  pilothouse ${b}\n`,
      );
    }
  } finally {
    await Promise.all([theirs.stop(), ours.stop()]);
  }
  const all = [...rows.values()];
  const tried = all.reduce((sum, row) => sum + row.tried, 0);
  const equal = all.reduce((sum, row) => sum + row.same, 0);
  process.stdout.write(`${tried} requests, ${equal} same, ${unexplained} differ unexplained\n`);
  writeFileSync(
    path.join(repository, 'docs', 'gateway.md'),
    [
      '# The JSON gateway, request by request',
      '',
      'Written by `npm run e2e -- gateway`: each request goes to a real etcd 3.5.1 and to our store, one member each. Status, content type and body',
      'are compared after IDs, addresses, tokens and the order within JSON objects were taken out.',
      '',
      `${tried} requests, ${equal} with the same answer.`,
      '',
      '| | requests | the same | differences |',
      '|---|---|---|---|',
      ...[...rows].map(
        ([name, row]) =>
          `| ${name} | ${row.tried} | ${row.same} | ${row.differences.join('; ').replaceAll('|', '\\|')} |`,
      ),
      '',
    ].join('\n'),
  );
  return unexplained === 0;
}
