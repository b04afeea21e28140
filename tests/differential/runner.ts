import { setTimeout } from 'node:timers/promises';
import { builtinSchemas } from '@pilothouse/api';
import { jsonText, parseExact } from '@pilothouse/apimachinery';
import { SeededRandom } from '@pilothouse/testkit';
import type { Answer, Client } from './client.ts';
import { type Difference, differences, signature } from './compare.ts';
import { changed, fieldChanges } from './field-walk.ts';
import { Mutator, wordsOf } from './mutate.ts';
import { collectionPath, type Sample } from './objects.ts';
import { sweepRequests } from './sweep-requests.ts';

export interface Case {
  readonly kind: string;
  readonly seed: number;
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly body: unknown;
  readonly stock: Answer;
  readonly ours: Answer;
  readonly found: readonly Difference[];
  readonly signature: string;
}

export interface Tally {
  compared: number;
  /** Answers of stock with a status below 300. */
  accepted: number;
  differing: number;
}

/** Most places of an object that are changed at once. */
const changesMax = 3;
const types = {
  json: 'application/json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/**
 * Sends the same requests to both servers. What a sample's variants would write is a dry run: the servers hold the same objects all
 * the time, so that every difference is that of one request.
 */
export class Runner {
  readonly tallies = new Map<string, Tally>();
  readonly #stock: Client;
  readonly #ours: Client;
  readonly #namespace: string;
  readonly #onDifference: (found: Case) => void;

  constructor(stock: Client, ours: Client, namespace: string, onDifference: (found: Case) => void) {
    this.#stock = stock;
    this.#ours = ours;
    this.#namespace = namespace;
    this.#onDifference = onDifference;
  }

  async #both(
    sample: Sample,
    seed: number,
    method: string,
    path: string,
    body?: unknown,
    contentType: string = types.json,
    ourBody: unknown = body,
    accept = 'application/json',
  ): Promise<[Answer, Answer]> {
    const [stock, ours] = await Promise.all([
      this.#stock.call(method, path, body, contentType, { accept }).catch(noAnswer),
      this.#ours.call(method, path, ourBody, contentType, { accept }).catch(noAnswer),
    ]);
    // An answer that stock does not give (it panics on some bodies) tells nothing about ours.
    if (stock.status === 0) return [stock, ours];
    const kind = sample.resource.kind;
    const tally = this.tallies.get(kind) ?? { compared: 0, accepted: 0, differing: 0 };
    this.tallies.set(kind, tally);
    tally.compared++;
    if (stock.status < 300) tally.accepted++;
    const found = differences(stock, ours);
    if (found.length > 0) {
      tally.differing++;
      this.#onDifference({
        kind,
        seed,
        method,
        path,
        contentType,
        body,
        stock,
        ours,
        found,
        signature: signature(kind, found),
      });
    }
    return [stock, ours];
  }

  /** Makes the sample itself and compares what reading it gives. */
  async prepare(sample: Sample): Promise<void> {
    const collection = collectionPath(sample.resource, this.#namespace);
    const [stock] = await this.#both(sample, 0, 'POST', collection, sample.object);
    if (stock.status >= 300)
      process.stderr.write(
        `${sample.resource.kind} ${sample.object.metadata.name}: stock refuses it: ${stock.text}\n`,
      );
    await this.#both(sample, 0, 'GET', `${collection}/${sample.object.metadata.name}`);
  }

  /** Removes the sample; finalizers that no controller takes off go first. */
  async clear(sample: Sample): Promise<void> {
    const named = `${collectionPath(sample.resource, this.#namespace)}/${sample.object.metadata.name}`;
    const path = `${named}?gracePeriodSeconds=0`;
    const bare = { metadata: { finalizers: null } };
    for (const client of [this.#stock, this.#ours]) {
      await client.call('PATCH', named, bare, types.merge);
      await client.call('DELETE', path);
      if (sample.resource.kind === 'Namespace') await finalize(client, named);
    }
  }

  /** The same requests for every kind: see sweep-requests.ts. */
  async sweep(sample: Sample): Promise<void> {
    const collection = collectionPath(sample.resource, this.#namespace);
    const path = `${collection}/${sample.object.metadata.name}`;
    const [stock, ours] = await Promise.all([this.#stock.call('GET', path), this.#ours.call('GET', path)]);
    if (stock.status !== 200 || ours.status !== 200) return;
    for (const request of sweepRequests(sample)) {
      const body = (answer: Answer): unknown =>
        request.body?.(parseExact(answer.text) as Record<string, unknown>);
      await this.#both(
        sample,
        0,
        request.method,
        collection + request.path,
        body(stock),
        request.contentType,
        body(ours),
        request.accept,
      );
    }
  }

  /** Every change of every field of the sample, as a create, as an update and in each part that is written: see field-walk.ts. */
  async walk(sample: Sample): Promise<void> {
    const { group, version, kind, subresources } = sample.resource;
    const schema = builtinSchemas.kind(group, version, kind);
    if (!schema) return;
    const collection = collectionPath(sample.resource, this.#namespace);
    const path = `${collection}/${sample.object.metadata.name}`;
    const query = 'dryRun=All&fieldManager=walk';
    const isNameFree = !/^[\dv]/.test(sample.object.metadata.name) && kind !== 'CustomResourceDefinition';
    const fresh = {
      ...sample.object,
      metadata: { ...sample.object.metadata, ...(isNameFree ? { name: 'fresh' } : {}) },
    };
    for (const change of fieldChanges(fresh, schema)) {
      if (change.path[0] === 'status' || change.field === 'status') continue;
      if (isNameFree) await this.#both(sample, 0, 'POST', `${collection}?${query}`, changed(fresh, change));
    }
    // The servers' own controllers write some statuses once.
    await setTimeout(1500);
    const [stock, ours] = await Promise.all([this.#stock.call('GET', path), this.#ours.call('GET', path)]);
    if (stock.status !== 200 || ours.status !== 200) return;
    const object = parseExact(stock.text) as Sample['object'];
    const own = parseExact(ours.text) as Sample['object'];
    const hasStatus = subresources.some((each) => each.name === 'status');
    for (const change of fieldChanges(object, schema)) {
      const isStatus = change.path[0] === 'status' || change.field === 'status';
      if (isStatus && !hasStatus) continue;
      const next = changed(object, change);
      await this.#both(
        sample,
        0,
        'PUT',
        `${path}${isStatus ? '/status' : ''}?${query}`,
        next,
        types.json,
        withIdentity(next, object, own),
      );
    }
  }

  /** One request made from a seed. */
  async variant(sample: Sample, seed: number): Promise<void> {
    const random = new SeededRandom(seed);
    const schema = builtinSchemas.kind(sample.resource.group, sample.resource.version, sample.resource.kind);
    if (!schema) return;
    const mutator = new Mutator(random, [...wordsOf(sample.object)]);
    const collection = collectionPath(sample.resource, this.#namespace);
    const validation = random.pick(['Strict', 'Warn', 'Strict', 'Ignore']);
    const query = `dryRun=All&fieldValidation=${validation}&fieldManager=differential`;
    const object = structuredClone(sample.object);
    const roll = random.float();
    if (roll < 0.5) {
      if (!random.chance(0.1)) object.metadata.name = sample.object.metadata.name;
      mutator.mutate(object, schema, changesMax);
      // Generated names differ by nature.
      if (object.metadata && !object.metadata.name)
        delete (object.metadata as Record<string, unknown>)['generateName'];
      // A create of a name that exists is refused before anything else is seen.
      if (
        object.metadata?.name === sample.object.metadata.name &&
        !/^[\dv]/.test(object.metadata.name) &&
        sample.resource.kind !== 'CustomResourceDefinition'
      )
        object.metadata.name = 'fresh';
      await this.#both(sample, seed, 'POST', `${collection}?${query}`, object);
      return;
    }
    const subresources = sample.resource.subresources.filter(
      (each) => each.kind === sample.resource.kind && each.verbs.includes('update'),
    );
    const part = subresources.length > 0 && random.chance(0.3) ? `/${random.pick(subresources).name}` : '';
    const path = `${collection}/${sample.object.metadata.name}`;
    if (roll < 0.8) {
      await this.#replace(sample, seed, mutator, path, part, query);
      return;
    }
    const patch = structuredClone(sample.object) as Record<string, unknown>;
    mutator.mutate(patch, schema, changesMax);
    if (roll < 0.88) await this.#both(sample, seed, 'PATCH', `${path}${part}?${query}`, patch, types.merge);
    else if (roll < 0.94)
      await this.#both(sample, seed, 'PATCH', `${path}${part}?${query}`, patch, types.strategic);
    else
      await this.#both(
        sample,
        seed,
        'PATCH',
        `${path}${part}?${query}&force=${random.chance(0.5)}`,
        patch,
        types.apply,
      );
  }

  /** A PUT of the stored object with changes; each server gets its own identity of the object back. */
  async #replace(
    sample: Sample,
    seed: number,
    mutator: Mutator,
    path: string,
    part: string,
    query: string,
  ): Promise<void> {
    const [stock, ours] = await Promise.all([this.#stock.call('GET', path), this.#ours.call('GET', path)]);
    if (stock.status !== 200 || ours.status !== 200) return;
    const schema = builtinSchemas.kind(sample.resource.group, sample.resource.version, sample.resource.kind);
    if (!schema) return;
    const object = parseExact(stock.text) as Sample['object'];
    mutator.mutate(object, schema, changesMax);
    const own = parseExact(ours.text) as Sample['object'];
    await this.#both(
      sample,
      seed,
      'PUT',
      `${path}${part}?${query}`,
      object,
      types.json,
      withIdentity(object, parseExact(stock.text) as Sample['object'], own),
    );
  }
}

/** A server that hangs up is a difference like another. */
const noAnswer = (error: unknown): Answer => ({ status: 0, text: String(error), warnings: [] });

/** The object with what the servers chose (uid, revision, addresses, ports) as `own` has it. */
function withIdentity(object: unknown, stock: unknown, own: unknown): unknown {
  const pairs: [string, string][] = [];
  const collect = (left: unknown, right: unknown, name: string): void => {
    if (typeof left === 'object' && left !== null && typeof right === 'object' && right !== null) {
      for (const key of Object.keys(left))
        collect(
          (left as Record<string, unknown>)[key],
          (right as Record<string, unknown>)[key],
          Array.isArray(left) ? name : key,
        );
    } else if (left !== right && (typeof left === 'string' || typeof left === 'number')) {
      if (
        String(left).startsWith('kube-api-access-') ||
        [
          'uid',
          'resourceVersion',
          'clusterIP',
          'clusterIPs',
          'nodePort',
          'healthCheckNodePort',
          'creationTimestamp',
          'time',
        ].includes(name)
      )
        pairs.push([jsonText(left), jsonText(right)]);
    }
  };
  collect(stock, own, '');
  let text = jsonText(object);
  for (const [left, right] of pairs) text = text.replaceAll(left, right);
  return parseExact(text);
}

/** Ends the deletion of a namespace as its controller would. */
export async function finalize(client: Client, named: string): Promise<void> {
  const answer = await client.call('GET', named);
  if (answer.status !== 200) return;
  const object = parseExact(answer.text) as { spec: { finalizers?: string[] } };
  object.spec.finalizers = [];
  await client.call('PUT', `${named}/finalize`, object);
}
