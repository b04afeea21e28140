import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { MiniRegistry, tableOf, testContext } from './simulation/mini-registry.ts';

// Compares the strategies with recorded answers of a stock API server, step by step, without a server. `GOLDEN_SHOW=regex` prints the
// mismatches of the cases whose area/name matches; `GOLDEN_ALL=1` walks all areas.

const folder = path.resolve(import.meta.dirname, '../../../../shared/golden/open');
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- recorded JSON
type Json = Record<string, any>;

const show = process.env['GOLDEN_SHOW'];
const areas = [
  'defaulting',
  'validation',
  'warnings',
  'table',
  'services',
  'subresources',
  'admission',
  'priority',
  'crd',
];

/** Cases that need what is not here: storage, admission, allocation, codecs. */
const excused: readonly string[] = JSON.parse(
  readFileSync(path.join(import.meta.dirname, 'testdata/golden-excused.json'), 'utf8'),
) as string[];

const places: Readonly<Record<string, string>> = {
  uid: '[0-9a-f-]{36}',
  rv: '[0-9]+',
  time: '[^"]*Z',
  utime: '[^"]*Z',
  ip: '[^"]*',
  suffix: '[^"]*',
  jwt: '.*',
  port: '[0-9]+',
  epoch: '[0-9]+',
  age: '\\d+[smhdy][\\dsmhdy]*|<unknown>|<invalid>',
  int: '-?\\d+',
  any: '[\\s\\S]*',
};

function matches(want: unknown, got: unknown, at: string, out: string[]): void {
  if (typeof want === 'string') {
    if (want === got) return;
    if (/<(\w+)(:\w+)?>/.test(want) && (typeof got === 'string' || typeof got === 'number' || got === null)) {
      const pattern = want
        .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
        .replace(/<(\w+)(?::\w+)?>/g, (all, name: string) =>
          places[name] === undefined ? all : `(?:${places[name]})`,
        );
      if (new RegExp(`^${pattern}$`).test(String(got))) return;
    }
    out.push(`${at}: want ${JSON.stringify(want)} got ${JSON.stringify(got)}`);
  } else if (Array.isArray(want)) {
    if (!Array.isArray(got) || got.length !== want.length)
      out.push(`${at}: want ${JSON.stringify(want)} got ${JSON.stringify(got)}`);
    else want.forEach((each, index) => matches(each, got[index], `${at}[${index}]`, out));
  } else if (want !== null && typeof want === 'object') {
    if (got === null || typeof got !== 'object') {
      out.push(`${at}: want ${JSON.stringify(want)} got ${JSON.stringify(got)}`);
      return;
    }
    for (const key of new Set([...Object.keys(want), ...Object.keys(got)])) {
      if (!(key in want)) out.push(`${at}.${key}: unwanted ${JSON.stringify((got as Json)[key])}`);
      else if (!(key in got)) out.push(`${at}.${key}: missing ${JSON.stringify((want as Json)[key])}`);
      else matches((want as Json)[key], (got as Json)[key], `${at}.${key}`, out);
    }
  } else if (want !== got) out.push(`${at}: want ${JSON.stringify(want)} got ${JSON.stringify(got)}`);
}

/** Takes away what admission, allocation and storage put there. */
function strip(value: unknown): unknown {
  const object = structuredClone(value) as Json;
  for (const key of [
    'managedFields',
    'resourceVersion',
    'uid',
    'selfLink',
    'creationTimestamp',
    'namespace',
    'name',
    'generateName',
  ])
    delete object['metadata']?.[key];
  const finalizers = ((object['metadata']?.finalizers ?? []) as string[]).filter(
    (each) => !each.startsWith('kubernetes.io/'),
  );
  if (finalizers.length === 0) delete object['metadata']?.finalizers;
  const spec = object['kind'] === 'Pod' ? (object['spec'] as Json) : undefined;
  if (spec !== undefined) {
    for (const key of ['serviceAccountName', 'serviceAccount', 'priority', 'preemptionPolicy'])
      delete spec[key];
    spec['tolerations'] = ((spec['tolerations'] ?? []) as Json[]).filter(
      (each) => !String(each['key']).startsWith('node.kubernetes.io/'),
    );
    if (spec['tolerations'].length === 0) delete spec['tolerations'];
    spec['volumes'] = ((spec['volumes'] ?? []) as Json[]).filter(
      (each) => !String(each['name']).startsWith('kube-api-access'),
    );
    if (spec['volumes'].length === 0) delete spec['volumes'];
    for (const container of [
      ...(spec['containers'] as Json[]),
      ...((spec['initContainers'] ?? []) as Json[]),
    ]) {
      container['volumeMounts'] = ((container['volumeMounts'] ?? []) as Json[]).filter(
        (each) => !String(each['name']).startsWith('kube-api-access'),
      );
      if (container['volumeMounts'].length === 0) delete container['volumeMounts'];
    }
  }
  if (object['kind'] === 'Service')
    for (const key of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy', 'healthCheckNodePort'])
      delete object['spec']?.[key];
  if (object['kind'] === 'Service') for (const port of object['spec']?.ports ?? []) delete port.nodePort;
  return object;
}

function fill(text: string, seen: Json[]): string {
  return text.replace(/\$\{(\d+)\.body\.([^}]+)\}/g, (_all, step: string, where: string) => {
    let value: unknown = seen[Number(step)];
    for (const key of where.split('.')) value = (value as Json | undefined)?.[key];
    return String(value ?? '');
  });
}

/** An earlier answer with JSON pointers set and deleted. */
function edited(from: Json | undefined, step: Json, seen: Json[]): unknown {
  if (from === undefined) return undefined;
  const body = structuredClone(from);
  const at = (pointer: string): [Json, string] => {
    const parts = pointer
      .split('/')
      .slice(1)
      .map((each) => each.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = parts.pop() as string;
    let where: Json = body;
    for (const part of parts) where = (where[part] ??= {}) as Json;
    return [where, last];
  };
  for (const pointer of (step['del'] ?? []) as string[]) {
    const [where, last] = at(pointer);
    if (Array.isArray(where)) where.splice(Number(last), 1);
    else delete where[last];
  }
  for (const [pointer, value] of Object.entries((step['set'] ?? {}) as Json)) {
    const [where, last] = at(pointer);
    where[last] = JSON.parse(fill(JSON.stringify(value), seen)) as unknown;
  }
  return body;
}

function runStep(registry: MiniRegistry, step: Json, seen: Json[], index: number): string[] | 'skipped' {
  const out: string[] = [];
  const target = registry.target(step['path'] as string);
  if (target === undefined) return 'skipped';
  const expect = (step['expect'] ?? {}) as Json;
  let body: unknown =
    step['body'] === undefined ? undefined : JSON.parse(fill(JSON.stringify(step['body']), seen));
  if (step['fill'] !== undefined)
    body = JSON.parse(JSON.stringify(body).replaceAll('@FILL@', 'x'.repeat(step['fill'] as number)));
  if (step['from'] !== undefined)
    body = edited(seen[Number(/\d+/.exec(String(step['from']))?.[0])], step, seen);
  const contentType = String(step['headers']?.['Content-Type'] ?? 'application/json');
  const accept = String(step['headers']?.['Accept'] ?? '');
  let answer;
  if (
    step['method'] === 'POST' &&
    body !== undefined &&
    target.name === '' &&
    contentType === 'application/json'
  )
    answer = registry.create(target, body);
  else if (step['method'] === 'PATCH' && body !== undefined && /merge-patch/.test(contentType))
    answer = registry.patch(target, contentType, body);
  else if (step['method'] === 'PUT' && body !== undefined && contentType === 'application/json')
    answer = registry.update(target, () => structuredClone(body) as never);
  else if (
    step['method'] === 'GET' &&
    accept.includes('as=Table') &&
    expect['body']?.rows !== undefined &&
    expect['body']?.kind === 'Table'
  ) {
    const objects =
      target.name === ''
        ? registry.list(target)
        : [registry.get(target)].filter((each) => each !== undefined);
    const table = tableOf(target.strategy, objects, Date.parse(testContext.now) + 5000);
    if (expect['body'].columnDefinitions !== undefined)
      matches(expect['body'].columnDefinitions, table.columnDefinitions, 'columns', out);
    const byName = new Map(table.rows.map((row) => [row.cells[0], row]));
    const nameColumn = 0;
    for (const [rowIndex, row] of (expect['body'].rows as Json[]).entries()) {
      const mine = byName.get(row['cells'][nameColumn]) ?? table.rows[rowIndex];
      if (mine === undefined) return 'skipped';
      matches(row['cells'], mine.cells, `row ${String(row['cells'][0])}`, out);
      if (row['conditions'] !== undefined || mine.conditions !== undefined)
        matches(row['conditions'], mine.conditions, 'conditions', out);
    }
    return out;
  } else return 'skipped';
  if (answer === undefined) return 'skipped';
  const { status, body: want, headers } = expect as { status: number; body?: Json; headers?: Json };
  if (answer.object !== undefined) seen[index] = answer.object as Json;
  if (want === undefined || Array.isArray(status)) return out;
  if (status === 422 && want['reason'] === 'Invalid') {
    const causes = ((want['details']?.causes ?? []) as Json[]).map(
      (each) => `${String(each['field'])} | ${String(each['reason'])} | ${String(each['message'])}`,
    );
    const got = (answer.errors ?? []).map((each) => `${each.field} | ${each.type} | ${each.message}`);
    const unordered = step['unordered'] === true;
    matches(unordered ? causes.sort() : causes, unordered ? got.sort() : got, 'causes', out);
  } else if (status === 200 || status === 201) {
    if (answer.errors !== undefined)
      out.push(`refused: ${answer.errors.map((each) => `${each.field}: ${each.message}`).join(' ; ')}`);
    else if (want['kind'] === target.strategy.kind) matches(strip(want), strip(answer.object), 'object', out);
  } else return 'skipped';
  const wanted = ((headers?.['warning'] ?? []) as string[])
    .map((each) => JSON.parse(each.replace(/^299 - /, '')) as string)
    .filter((each) => !/^unknown field|is deprecated in v1\.33/.test(each))
    .sort();
  if (headers !== undefined) matches(wanted, [...answer.warnings].sort(), 'warnings', out);
  return out;
}

test(
  'strategies answer as recorded',
  { skip: existsSync(folder) ? false : `SKIPPED: no recordings at ${folder}` },
  () => {
    const failures: string[] = [];
    const surprises: string[] = [];
    let passed = 0;
    let compared = 0;
    for (const area of process.env['GOLDEN_ALL'] === '1' ? readdirSync(folder) : areas)
      for (const file of readdirSync(path.join(folder, area)).sort()) {
        const name = `${area}/${file.replace('.json', '')}`;
        const recorded = JSON.parse(readFileSync(path.join(folder, area, file), 'utf8')) as Json;
        const registry = new MiniRegistry();
        const seen: Json[] = [];
        const problems: string[] = [];
        let any = false;
        for (const [index, step] of (recorded['steps'] as Json[]).entries()) {
          if (step['cleanup'] === true) continue;
          let result: string[] | 'skipped';
          try {
            result = runStep(registry, step, seen, index);
          } catch (error) {
            result = [`threw ${(error as Error).stack ?? ''}`];
          }
          if (result === 'skipped') continue;
          any = true;
          compared += 1;
          problems.push(...result.map((each) => `#${index} ${each}`));
        }
        if (!any) continue;
        if (problems.length === 0) {
          passed += 1;
          if (excused.includes(name)) surprises.push(name);
        } else if (!excused.includes(name)) failures.push(name);
        if (problems.length > 0 && show !== undefined && new RegExp(show).test(name))
          console.log(`--- ${name}\n${problems.slice(0, 40).join('\n').slice(0, 6000)}`);
      }
    console.log(
      `golden strategies: ${passed} cases agree, ${failures.length} do not, ${compared} steps compared`,
    );
    if (show !== undefined)
      console.log('failing:', failures.join(' '), '\nexcused but passing:', surprises.join(' '));
    assert.deepEqual(failures, []);
  },
);
