// Replays what a stock kube-apiserver said about bodies and protobuf answers. Needs the recorded corpus beside the repository.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { builtinResources, builtinSchemas } from '@pilothouse/api';
import type { GroupVersionKind } from '@pilothouse/apimachinery';
import { StatusError } from '@pilothouse/apimachinery';

import { builtinProtobuf, decodeBody, decodeYaml, encodeYaml, negotiateOutput } from './index.ts';

interface Step {
  readonly method: string;
  readonly path: string;
  readonly headers?: Record<string, string | null>;
  readonly body?: unknown;
  readonly raw?: string;
  readonly rawBase64?: string;
  readonly repeat?: number;
  readonly expect?: { status: number; headers?: Record<string, unknown>; body?: unknown };
}

const corpus = join(import.meta.dirname, '../../../../shared/golden/open');
const skip = existsSync(corpus) ? false : 'SKIPPED: the golden corpus is not beside the repository';

function* steps(): Generator<{ name: string; step: Step }> {
  for (const area of readdirSync(corpus))
    for (const file of readdirSync(join(corpus, area))) {
      const text = readFileSync(join(corpus, area, file), 'utf8');
      for (const [index, step] of (JSON.parse(text) as { steps: Step[] }).steps.entries())
        yield { name: `${area}/${file} step ${String(index)}`, step };
    }
}

/** Kind taken by the collection or object at a path; undefined for subresources and custom resources. */
function expectedKind(path: string): GroupVersionKind | undefined {
  const match =
    /^\/(?:api\/(v1)|apis\/([^/]+)\/([^/]+))(?:\/namespaces\/[^/?]+)?\/([^/?]+)(?:\/[^/?]+)?(?:\?|$)/.exec(
      path,
    );
  if (!match) return undefined;
  const group = match[2] ?? '';
  const version = match[1] ?? (match[3] as string);
  const resource = builtinResources.find(
    (item) => item.group === group && item.version === version && item.plural === match[4],
  );
  return resource && { group, version, kind: resource.kind };
}

const bodyOf = (step: Step): Buffer =>
  step.rawBase64 !== undefined
    ? Buffer.from(step.rawBase64, 'base64')
    : Buffer.from(step.raw !== undefined ? step.raw.repeat(step.repeat ?? 1) : JSON.stringify(step.body));

/** Placeholders of the corpus stand for parts that vary. */
const blur = (text: string): string =>
  text
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/g, '<utime>')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, '<time>');

const isDecodeMessage = (message: string): boolean =>
  /cannot be handled as|the object provided is unrecognized|unknown format|does not match the expected API version/.test(
    message,
  );

describe('golden answers', { skip }, () => {
  it('bodies are refused with the recorded text', () => {
    let count = 0;
    for (const { name, step } of steps()) {
      const expected = expectedKind(step.path);
      const message = (step.expect?.body as { message?: unknown } | undefined)?.message;
      if (!expected || !['POST', 'PUT'].includes(step.method)) continue;
      if (typeof message !== 'string' || !isDecodeMessage(message)) continue;
      count++;
      const validation = /fieldValidation=(\w+)/.exec(step.path)?.[1] as 'Strict' | undefined;
      const type = step.headers?.['Content-Type'];
      const contentType = type === undefined ? 'application/json' : (type ?? undefined);
      assert.throws(
        () => decodeBody(bodyOf(step), { contentType, expected, fieldValidation: validation ?? 'Warn' }),
        (error) => {
          assert.ok(error instanceof StatusError, `${name}: ${String(error)}`);
          assert.equal(blur(error.message), blur(message), name);
          assert.equal(error.httpCode, step.expect?.status, name);
          return true;
        },
        name,
      );
    }
    assert.ok(count > 30, `${String(count)} bodies`);
  });

  it('accepted bodies give the recorded warnings of strict decoding', () => {
    let count = 0;
    for (const { name, step } of steps()) {
      const expected = expectedKind(step.path);
      if (!expected || !['POST', 'PUT'].includes(step.method) || (step.expect?.status ?? 500) >= 300)
        continue;
      if (step.body === undefined && step.raw === undefined) continue;
      if (JSON.stringify(step).includes('${') || 'fill' in step || 'fillWith' in step) continue;
      const validation = /fieldValidation=(\w+)/.exec(step.path)?.[1] as 'Strict' | undefined;
      const type = step.headers?.['Content-Type'];
      const contentType = type === undefined ? 'application/json' : (type ?? undefined);
      const { warnings } = decodeBody(bodyOf(step), {
        contentType,
        expected,
        fieldValidation: validation ?? 'Warn',
      });
      const recorded = ((step.expect?.headers?.['warning'] ?? []) as string[])
        .map((header) => JSON.parse(header.replace(/^299 - /, '')) as string)
        .filter((text) => /^(?:unknown field|duplicate field|line \d+: key)/.test(text));
      if (step.expect?.headers === undefined) continue;
      assert.deepEqual(warnings, recorded, name);
      count++;
    }
    assert.ok(count > 100, `${String(count)} bodies`);
  });

  it('protobuf answers decode and encode to the same bytes', () => {
    let count = 0;
    for (const { name, step } of steps()) {
      const base64 = (step.expect?.body as { base64?: string } | undefined)?.base64;
      if (base64 === undefined) continue;
      const bytes = Buffer.from(base64, 'base64');
      const { object, kind } = builtinProtobuf.decode(bytes);
      const schema = builtinSchemas.kind(kind.group, kind.version, kind.kind);
      assert.ok(schema);
      assert.deepEqual(builtinProtobuf.encode(object, schema), bytes, name);
      count++;
    }
    assert.ok(count > 3);
  });

  it('Accept headers are refused as recorded', () => {
    let count = 0;
    for (const { name, step } of steps()) {
      const accept = step.headers?.['Accept'];
      if (!name.startsWith('negotiation/accept') || accept === undefined || step.path.includes('nope'))
        continue;
      count++;
      const watchable = /configmaps\?/.test(step.path);
      const run = (): unknown => negotiateOutput(accept ?? undefined, { watchable });
      if (step.expect?.status !== 406) run();
      else
        assert.throws(run, (error) => {
          assert.ok(error instanceof StatusError);
          assert.deepEqual(error.status, step.expect?.body, name);
          return true;
        });
    }
    assert.ok(count > 20, `${String(count)} headers`);
  });

  it('YAML answers are written as recorded', () => {
    for (const { name, step } of steps()) {
      const body = step.expect?.body;
      if (!name.startsWith('negotiation/yaml-response') || typeof body !== 'string') continue;
      const lines = body.replaceAll(/"<time>"/g, '"2024-01-02T03:04:05Z"').replaceAll('"<rv>"', '"17"');
      assert.equal(encodeYaml(parseLines(lines)), lines, name);
    }
  });
});

/** Reads a recorded YAML answer with the library, which is independent of the writer under test. */
function parseLines(text: string): unknown {
  return decodeYaml(text).value;
}
