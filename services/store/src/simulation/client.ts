import { decodeMessage, encodeMessage, etcdserverpb, mvccpb } from '@pilothouse/proto';
import type { MessageInput } from '@pilothouse/proto';
import type { KeyedOperation, RegisterInput, RegisterOutput, SeededRandom } from '@pilothouse/testkit';
import { encodeCommand } from '../core/apply/command.ts';
import type { ApplyResult } from '../core/apply/state-machine.ts';
import type { SimulatedMember, World } from './simulated-member.ts';

const utf8 = (text: string): Uint8Array => Buffer.from(text);
const { Compare_CompareResult: CompareResult, Compare_CompareTarget: CompareTarget } = etcdserverpb;

interface ReadValue {
  readonly value: string | undefined;
  readonly modRevision: number;
}

function decodeKeyValue(bytes: Uint8Array | undefined): ReadValue {
  if (!bytes) return { value: undefined, modRevision: 0 };
  const { value, modRevision } = decodeMessage(mvccpb.KeyValue, bytes);
  return { value: Buffer.from(value).toString(), modRevision };
}

function rangeRequest(key: string): etcdserverpb.RangeRequest {
  return decodeMessage(
    etcdserverpb.RangeRequest,
    encodeMessage(etcdserverpb.RangeRequest, { key: utf8(key) }),
  );
}

/** Reads one key from a member's own state, linearizably unless the mutation says otherwise. */
async function get(member: SimulatedMember, key: string, world: World): Promise<RegisterOutput> {
  const { replica, machine } = member;
  if (!replica) throw new Error('down');
  if (world.mutation !== 'skip-read-index') await replica.readBarrier();
  const { kvs } = machine.range(rangeRequest(key));
  return { op: 'get', ...decodeKeyValue(kvs[0]) };
}

interface TxnReply {
  readonly succeeded?: boolean;
  readonly header?: { readonly revision?: number };
  readonly responses?: readonly { readonly responseRange?: { readonly kvs?: readonly Uint8Array[] } }[];
}

async function write(member: SimulatedMember, key: string, input: RegisterInput): Promise<RegisterOutput> {
  const { replica } = member;
  if (!replica) throw new Error('down');
  const propose = async (command: MessageInput<etcdserverpb.InternalRaftRequest>): Promise<unknown> => {
    const result = (await replica.propose(encodeCommand(command))) as ApplyResult;
    if ('error' in result) throw result.error;
    return result.response;
  };
  switch (input.op) {
    case 'put': {
      const reply = (await propose({ put: { key: utf8(key), value: utf8(input.value) } })) as TxnReply;
      return { op: 'put', revision: reply.header?.revision ?? 0 };
    }
    case 'delete': {
      const reply = (await propose({ deleteRange: { key: utf8(key), prevKv: true } })) as {
        prevKvs?: readonly Uint8Array[];
      };
      return { op: 'delete', value: decodeKeyValue(reply.prevKvs?.[0]).value };
    }
    case 'compareAndPut': {
      const reply = (await propose({
        txn: {
          compare: [
            {
              key: utf8(key),
              target: CompareTarget.MOD,
              result: CompareResult.EQUAL,
              modRevision: input.modRevision,
            },
          ],
          success: [{ requestPut: { key: utf8(key), value: utf8(input.value) } }],
          failure: [{ requestRange: { key: utf8(key) } }],
        },
      })) as TxnReply;
      if (reply.succeeded) {
        return {
          op: 'compareAndPut',
          succeeded: true,
          revision: reply.header?.revision ?? 0,
          value: undefined,
        };
      }
      const seen = decodeKeyValue(reply.responses?.[0]?.responseRange?.kvs?.[0]);
      return { op: 'compareAndPut', succeeded: false, revision: seen.modRevision, value: seen.value };
    }
    case 'get':
      throw new Error('A get is not a write');
  }
}

export interface ClientOptions {
  readonly client: number;
  readonly world: World;
  readonly random: SeededRandom;
  readonly members: () => readonly SimulatedMember[];
  readonly keys: number;
  readonly history: KeyedOperation[];
  readonly isDone: () => boolean;
}

/** Two keys in one transaction: one revision, two events. */
async function putTwo(
  member: SimulatedMember,
  client: number,
  keys: readonly string[],
  value: string,
  { world, history }: ClientOptions,
): Promise<void> {
  const puts = [...new Set(keys)].map((key, at) => ({ key, value: `${value}.${at}` }));
  const call = world.clock.monotonic();
  let revision: number | undefined;
  try {
    if (!member.replica) throw new Error('down');
    const success = puts.map((put) => ({ requestPut: { key: utf8(put.key), value: utf8(put.value) } }));
    const result = (await member.replica.propose(encodeCommand({ txn: { success } }))) as ApplyResult;
    if ('error' in result) throw result.error;
    revision = (result.response as TxnReply).header?.revision ?? 0;
  } catch {
    // It may or may not have taken place.
  }
  const end = revision === undefined ? Infinity : world.clock.monotonic();
  const output = revision === undefined ? undefined : ({ op: 'put', revision } as const);
  for (const put of puts)
    history.push({ client, key: put.key, call, end, input: { op: 'put', value: put.value }, output });
}

/** One client: one operation at a time, at a random member, with a pause in between. */
export async function runClient(options: ClientOptions): Promise<void> {
  const { client, world, random, history } = options;
  const lastSeen = new Map<string, number>();
  let counter = 0;
  while (!options.isDone()) {
    await new Promise<void>((resolve) => world.clock.setTimeout(resolve, 20 + random.integer(150)));
    const up = options.members().filter((member) => member.isUp);
    if (up.length === 0) continue;
    const member = random.pick(up);
    const key = `k${random.integer(options.keys)}`;
    const value = `c${client}-${++counter}`;
    const roll = random.integer(100);
    if (roll >= 97) {
      await putTwo(member, client, [key, `k${random.integer(options.keys)}`], value, options);
      continue;
    }
    const input: RegisterInput =
      roll < 45
        ? { op: 'get' }
        : roll < 75
          ? { op: 'put', value }
          : roll < 92
            ? { op: 'compareAndPut', modRevision: lastSeen.get(key) ?? 0, value }
            : { op: 'delete' };
    const call = world.clock.monotonic();
    let output: RegisterOutput | undefined;
    try {
      output = await (input.op === 'get' ? get(member, key, world) : write(member, key, input));
    } catch {
      // Whatever went wrong, the operation may or may not have taken effect.
      output = undefined;
    }
    const end = output === undefined ? Infinity : world.clock.monotonic();
    history.push({ client, key, call, end, input, output });
    if (output?.op === 'get') lastSeen.set(key, output.modRevision);
    else if (output?.op === 'put' || output?.op === 'compareAndPut') lastSeen.set(key, output.revision);
  }
}
