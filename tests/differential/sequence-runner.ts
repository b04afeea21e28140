import { setTimeout as sleep } from 'node:timers/promises';
import { parseExact } from '@pilothouse/apimachinery';
import type { Answer, Client, Watched } from './client.ts';
import { type Difference, differences } from './compare.ts';

/** Any JSON object. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any JSON
export type Json = Record<string, any>;

/** What one of the two servers answered so far: each has its own uids and revisions. */
export interface Own {
  readonly namespace: string;
  readonly answers: readonly Json[];
  readonly last: Json;
}

export interface Step {
  readonly method: string;
  path(own: Own): string;
  body?(own: Own): Json | string;
  /** Of the body; a PATCH is a merge patch unless it says otherwise. */
  readonly contentType?: 'strategic' | 'apply';
  /** A content type as it is. */
  readonly rawType?: string;
  readonly accept?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** To wait before the request. */
  readonly waitMs?: number;
}

export interface Sequence {
  readonly name: string;
  /** A collection, watched from before the first step. */
  watch(own: Own): string;
  readonly steps: readonly Step[];
}

export interface SequenceDifference {
  readonly sequence: string;
  /** `step 3 POST …` or `event 2`. */
  readonly at: string;
  readonly found: readonly Difference[];
}

const types = {
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

/** How long after the last step events may still come. */
const settleMs = 700;

const parse = (text: string): Json => {
  try {
    return parseExact(text) as Json;
  } catch {
    return {};
  }
};

class Side {
  readonly #client: Client;
  readonly #namespace: string;
  readonly #answers: Json[] = [];

  constructor(client: Client, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  get own(): Own {
    return { namespace: this.#namespace, answers: this.#answers, last: this.#answers.at(-1) ?? {} };
  }

  async take(step: Step): Promise<Answer> {
    const contentType =
      step.rawType !== undefined
        ? step.rawType
        : step.contentType === undefined
          ? step.method === 'PATCH'
            ? types.merge
            : 'application/json'
          : types[step.contentType];
    const answer = await this.#client.call(
      step.method,
      step.path(this.own),
      step.body?.(this.own),
      contentType,
      { ...step.headers, ...(step.accept === undefined ? {} : { accept: step.accept }) },
    );
    this.#answers.push(parse(answer.text));
    return answer;
  }

  watch(sequence: Sequence): Promise<Watched> {
    return this.#client.watch(sequence.watch(this.own));
  }
}

/** Takes the steps on both servers and compares every answer and every event. Returns how much was compared, too. */
export async function runSequence(
  sequence: Sequence,
  stock: Client,
  ours: Client,
  namespace: string,
): Promise<{ readonly compared: number; readonly found: readonly SequenceDifference[] }> {
  const found: SequenceDifference[] = [];
  let compared = 0;
  const compare = (at: string, one: Answer, two: Answer): void => {
    compared++;
    const all = differences(one, two);
    if (all.length > 0) found.push({ sequence: sequence.name, at, found: all });
  };
  const sides = [new Side(stock, namespace), new Side(ours, namespace)] as const;
  const watches = await Promise.all(sides.map((side) => side.watch(sequence)));
  try {
    for (const [index, step] of sequence.steps.entries()) {
      if (step.waitMs !== undefined) await sleep(step.waitMs);
      const at = `step ${index + 1} ${step.method} ${step.path(sides[0].own)}`;
      const [one, two] = await Promise.all([sides[0].take(step), sides[1].take(step)]);
      compare(at, one, two);
    }
    await sleep(settleMs);
    const [one, two] = watches.map((watch) => watch.lines()) as [string[], string[]];
    for (let index = 0; index < Math.max(one.length, two.length); index++)
      compare(`event ${index + 1}`, asAnswer(one[index]), asAnswer(two[index]));
  } finally {
    for (const watch of watches) watch.stop();
  }
  return { compared, found };
}

const asAnswer = (line: string | undefined): Answer => ({
  status: line === undefined ? 0 : 200,
  text: line ?? '',
  warnings: [],
});
