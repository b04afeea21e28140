import { test } from 'node:test';
import assert from 'node:assert/strict';
import { SeededRandom } from '@pilothouse/testkit';
import { hashOf } from './hash-chains.ts';
import { KeyTable } from './key-table.ts';

interface Revision {
  readonly main: number;
  readonly row: number;
  /** Undefined: a tombstone. */
  readonly life: { readonly createMain: number; readonly version: number } | undefined;
}

/** The same in plain lists. */
class Model {
  readonly keys = new Map<string, Revision[]>();

  at(key: string, main: number): Revision | undefined {
    const found = this.keys.get(key)?.findLast((revision) => revision.main <= main);
    return found?.life === undefined ? undefined : found;
  }
}

const keysOf = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `/${at % 7}/${'x'.repeat((at * 13) % 90)}${at}`);

/** Keys that a table of a few thousand puts into one chain. */
function colliding(count: number): string[] {
  const keys: string[] = [];
  for (let at = 0; keys.length < count; at++)
    if ((hashOf(`collides${at}`) & 0xfff) === 0) keys.push(`collides${at}`);
  return keys;
}

function run(seed: number, names: readonly string[], steps: number): void {
  const random = new SeededRandom(seed);
  const table = new KeyTable();
  const model = new Model();
  const garbage: { readonly at: number; readonly key: string; readonly row: number }[] = [];
  let compacted = 0;
  const below = (limit: number): number => random.integer(limit);
  for (let main = 1; main <= steps; main++) {
    const key = names[below(below(4) === 0 ? 5 : names.length)] as string;
    const list = model.keys.get(key) ?? [];
    const last = list.at(-1);
    if (last?.life !== undefined) garbage.push({ at: main, key, row: last.row });
    if (last?.life !== undefined && below(3) === 0) {
      const row = table.tombstone(table.find(key), main, 1);
      table.revisions.stored(row, main, main * 3);
      list.push({ main, row, life: undefined });
      garbage.push({ at: main + 1, key, row });
    } else {
      const row = table.put(table.findOrAdd(key), main, 1);
      table.revisions.stored(row, main, main * 3);
      const { createMain, version } = last?.life ?? { createMain: main, version: 0 };
      list.push({ main, row, life: { createMain, version: version + 1 } });
    }
    model.keys.set(key, list);
    if (main % 50 === 0 && below(2) === 0) {
      compacted = Math.max(compacted, main - below(100));
      garbage.sort((a, b) => a.at - b.at);
      while ((garbage[0]?.at ?? Infinity) <= compacted) {
        const gone = garbage.shift() as (typeof garbage)[number];
        assert.equal(table.revisions.sumOf(gone.row), table.revisions.mainOf(gone.row) * 3);
        table.remove(gone.row);
        const kept = (model.keys.get(gone.key) as Revision[]).filter(({ row }) => row !== gone.row);
        if (kept.length > 0) model.keys.set(gone.key, kept);
        else model.keys.delete(gone.key);
      }
    }
    if (main % 97 !== 0) continue;
    assert.equal(table.size, model.keys.size);
    const at = compacted + below(main - compacted + 1);
    for (const name of names) {
      const slot = table.find(name);
      assert.equal(slot !== 0, model.keys.has(name), `seed ${seed}: ${name}`);
      if (slot === 0) continue;
      assert.equal(table.text(slot), name);
      const row = table.at(slot, at);
      const wanted = model.at(name, at);
      const found = row === 0 ? undefined : table.version(row);
      const told = wanted && { row: wanted.row, main: wanted.main, sub: 1, ...wanted.life };
      assert.deepEqual(found, told, `seed ${seed}: ${name} at ${at}`);
    }
    const [from, to] = [names[below(names.length)] as string, names[below(names.length)] as string];
    for (const end of [to, null]) {
      const walked: string[] = [];
      table.walk({ from, to: end }, at, (row) => {
        walked.push(table.keyOf(table.version(row)));
        return walked.length < 40;
      });
      const wanted = [...model.keys.keys()].filter((key) => key >= from && (end === null || key < end));
      const alive = wanted.filter((key) => model.at(key, at) !== undefined).sort();
      assert.deepEqual(walked, alive.slice(0, 40), `seed ${seed}: from ${from} to ${end}`);
      const now = wanted.filter((key) => model.at(key, main) !== undefined);
      assert.equal(table.count({ from, to: end }), now.length, `seed ${seed}: from ${from} to ${end}`);
    }
  }
}

test('a table of keys does what plain lists do', () => {
  for (let seed = 1; seed <= 6; seed++) run(seed, keysOf(40), 3000);
  run(7, keysOf(3000), 12_000);
});

test('keys of one hash are found as well, and go', () => run(8, colliding(60), 4000));

test('keys of any length are kept byte for byte', () => {
  const table = new KeyTable();
  const names = ['\0', '\u00ff', 'a'.repeat(16), 'a'.repeat(17), 'b'.repeat(4096), 'c\u0080'.repeat(50_000)];
  for (const [at, name] of names.entries()) table.put(table.findOrAdd(name), at + 2, 0);
  for (const [at, name] of names.entries()) {
    assert.equal(table.text(table.find(name)), name);
    assert.equal(table.find(`${name}!`), 0);
    table.tombstone(table.find(name), at + 10, 0);
  }
  const rows = names.map((name) => table.newest(table.find(name)));
  for (const row of rows) {
    const slot = table.revisions.keyOf(row);
    table.remove(row);
    table.remove(table.newest(slot));
  }
  assert.equal(table.size, 0);
});

test('an old revision among very many is found at once', () => {
  const table = new KeyTable();
  const slot = table.findOrAdd('hot');
  const count = 200_000;
  for (let main = 1; main <= count; main++) table.put(slot, main, 0);
  const began = performance.now();
  for (let main = 1; main <= count; main += 7)
    assert.equal(table.revisions.mainOf(table.at(slot, main)), main);
  // One by one it would be 3 × 10⁹ steps.
  assert.ok(performance.now() - began < 5000);
});
