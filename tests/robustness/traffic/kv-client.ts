import type { EtcdClient } from '@pilothouse/etcd-client';
import { prefixEnd } from '@pilothouse/etcd-client';
import { etcdserverpb } from '@pilothouse/proto';
import type { mvccpb } from '@pilothouse/proto';
import type { RegisterInput, RegisterOutput, SeededRandom } from '@pilothouse/testkit';
import { pause } from '../cluster/cluster.ts';
import { keyPrefix } from './history.ts';
import type { History, SeenValue } from './history.ts';

const bytes = (text: string): Uint8Array => Buffer.from(text);
const text = (value: Uint8Array): string => Buffer.from(value).toString();
const { Compare_CompareResult: CompareResult, Compare_CompareTarget: CompareTarget } = etcdserverpb;
const timeoutMs = 3000;

export function seen(kv: mvccpb.KeyValue): SeenValue {
  const { modRevision, createRevision, version } = kv;
  return { value: text(kv.value), modRevision, createRevision, version };
}

export interface KvClientOptions {
  readonly client: number;
  readonly etcd: EtcdClient;
  readonly random: SeededRandom;
  readonly history: History;
  readonly keys: readonly string[];
  /** Milliseconds between operations, at most. */
  readonly thinkMs: number;
  readonly isDone: () => boolean;
}

/** One client of the key-value API: one operation at a time. */
export class KvClient {
  readonly #options: KvClientOptions;
  readonly #lastSeen = new Map<string, number>();
  #counter = 0;

  constructor(options: KvClientOptions) {
    this.#options = options;
  }

  async run(): Promise<void> {
    const { random, keys, thinkMs, isDone } = this.#options;
    while (!isDone()) {
      await pause(random.integer(thinkMs));
      const key = random.pick(keys);
      const roll = random.integer(100);
      if (roll < 30) await this.#register(key, { op: 'get' });
      else if (roll < 60) await this.#register(key, { op: 'put', value: this.#value() });
      else if (roll < 75) {
        const modRevision = this.#lastSeen.get(key) ?? 0;
        await this.#register(key, { op: 'compareAndPut', modRevision, value: this.#value() });
      } else if (roll < 82) await this.#register(key, { op: 'delete' });
      else if (roll < 90) await this.#multi(keys);
      else await this.#range(roll < 95);
    }
  }

  #value(): string {
    return `c${this.#options.client}-${++this.#counter}`;
  }

  async #register(key: string, input: RegisterInput): Promise<void> {
    const { client, history } = this.#options;
    const call = performance.now();
    let output: RegisterOutput | undefined;
    let revision = 0;
    let found: mvccpb.KeyValue | undefined;
    let isWritten = false;
    try {
      ({ output, revision, found, isWritten } = await this.#call(key, input));
    } catch {
      history.failed++;
    }
    const end = output ? performance.now() : Infinity;
    history.keyed.push({ client, key, call, end, input, output });
    if (output) history.sight(revision);
    const isRead = input.op === 'get' || (output !== undefined && !isWritten);
    if (isRead) {
      if (!output) return;
      if (input.op !== 'put') this.#lastSeen.set(key, found?.modRevision ?? 0);
      const values = new Map(found ? [[key, seen(found)]] : []);
      // A delete of nothing saw that there was nothing.
      history.reads.push({ client, call, end, isSerializable: false, revision, key, values });
      return;
    }
    const value = 'value' in input ? input.value : undefined;
    const effects = [{ key, value }];
    if (output && value !== undefined) this.#lastSeen.set(key, revision);
    history.writes.push({ client, call, end, effects, revision: output ? revision : undefined });
  }

  async #call(
    key: string,
    input: RegisterInput,
  ): Promise<{
    output: RegisterOutput;
    revision: number;
    found: mvccpb.KeyValue | undefined;
    isWritten: boolean;
  }> {
    const { kv } = this.#options.etcd;
    const options = { timeoutMs };
    switch (input.op) {
      case 'get': {
        const { kvs, header } = await kv.range({ key: bytes(key) }, options);
        const [found] = kvs;
        const output: RegisterOutput = {
          op: 'get',
          value: found && text(found.value),
          modRevision: found?.modRevision ?? 0,
        };
        return { output, revision: header?.revision ?? 0, found, isWritten: false };
      }
      case 'put': {
        const { header } = await kv.put({ key: bytes(key), value: bytes(input.value) }, options);
        const revision = header?.revision ?? 0;
        return { output: { op: 'put', revision }, revision, found: undefined, isWritten: true };
      }
      case 'delete': {
        const reply = await kv.deleteRange({ key: bytes(key), prevKv: true }, options);
        const [previous] = reply.prevKvs;
        const output: RegisterOutput = { op: 'delete', value: previous && text(previous.value) };
        return {
          output,
          revision: reply.header?.revision ?? 0,
          found: undefined,
          isWritten: reply.deleted > 0,
        };
      }
      case 'compareAndPut': {
        const reply = await kv.txn(
          {
            compare: [
              {
                key: bytes(key),
                target: CompareTarget.MOD,
                result: CompareResult.EQUAL,
                modRevision: input.modRevision,
              },
            ],
            success: [{ requestPut: { key: bytes(key), value: bytes(input.value) } }],
            failure: [{ requestRange: { key: bytes(key) } }],
          },
          options,
        );
        const revision = reply.header?.revision ?? 0;
        if (reply.succeeded) {
          const output: RegisterOutput = { op: 'compareAndPut', succeeded: true, revision, value: undefined };
          return { output, revision, found: undefined, isWritten: true };
        }
        const found = reply.responses[0]?.responseRange?.kvs[0];
        const output: RegisterOutput = {
          op: 'compareAndPut',
          succeeded: false,
          revision: found?.modRevision ?? 0,
          value: found && text(found.value),
        };
        return { output, revision, found, isWritten: false };
      }
    }
  }

  /** Two keys in one transaction: one revision, two events. */
  async #multi(keys: readonly string[]): Promise<void> {
    const { client, history, random, etcd } = this.#options;
    const first = random.pick(keys);
    const second = random.pick(keys.filter((key) => key !== first));
    const effects = [first, second].map((key) => ({ key, value: this.#value() }));
    const call = performance.now();
    let revision: number | undefined;
    try {
      const success = effects.map(({ key, value }) => ({
        requestPut: { key: bytes(key), value: bytes(value) },
      }));
      revision = (await etcd.kv.txn({ success }, { timeoutMs })).header?.revision ?? 0;
      history.sight(revision);
    } catch {
      history.failed++;
    }
    const end = revision === undefined ? Infinity : performance.now();
    history.writes.push({ client, call, end, effects, revision });
    for (const { key, value } of effects) {
      const output = revision === undefined ? undefined : ({ op: 'put', revision } as const);
      history.keyed.push({ client, key, call, end, input: { op: 'put', value }, output });
    }
  }

  async #range(isSerializable: boolean): Promise<void> {
    const { client, history, etcd } = this.#options;
    const call = performance.now();
    try {
      const key = bytes(keyPrefix);
      const reply = await etcd.kv.range(
        { key, rangeEnd: prefixEnd(key), serializable: isSerializable },
        { timeoutMs },
      );
      const revision = reply.header?.revision ?? 0;
      const values = new Map(reply.kvs.map((kv) => [text(kv.key), seen(kv)] as const));
      const end = performance.now();
      history.reads.push({ client, call, end, isSerializable, revision, key: undefined, values });
      history.sight(revision);
    } catch {
      history.failed++;
    }
  }
}
