import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { type BuiltinResource, builtinResources } from '@pilothouse/api';
import { parseDocument } from '@pilothouse/serializer';

export interface Sample {
  readonly object: Record<string, unknown> & { metadata: { name: string; namespace?: string } };
  readonly resource: BuiltinResource;
}

/** The good objects that all variants are made from, in the order of the files in `objects/`. */
export function loadSamples(namespace: string): Sample[] {
  const directory = path.join(path.dirname(fileURLToPath(import.meta.url)), 'objects');
  const request = signingRequest();
  const samples: Sample[] = [];
  for (const file of readdirSync(directory).sort()) {
    const text = readFileSync(path.join(directory, file), 'utf8')
      .replaceAll('@CSR@', request)
      .replaceAll('@NAMESPACE@', namespace);
    for (const document of text.split('\n---\n')) {
      const object = parseDocument(Buffer.from(document), 'application/yaml').value as Sample['object'] & {
        apiVersion: string;
        kind: string;
      };
      const slash = object.apiVersion.indexOf('/');
      const group = slash < 0 ? '' : object.apiVersion.slice(0, slash);
      const version = object.apiVersion.slice(slash + 1);
      const resource = builtinResources.find(
        (each) => each.group === group && each.version === version && each.kind === object.kind,
      );
      if (!resource) throw new Error(`${file}: nothing serves ${object.apiVersion} ${object.kind}`);
      samples.push({ object, resource });
    }
  }
  return samples;
}

/** A certificate request made with openssl, as base64 of PEM. */
function signingRequest(): string {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'differential-'));
  try {
    const pem = execFileSync(
      'openssl',
      [
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-subj',
        '/CN=someone',
        '-keyout',
        path.join(directory, 'key'),
      ],
      { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
    );
    return Buffer.from(pem).toString('base64');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The collection's path. */
export function collectionPath(resource: BuiltinResource, namespace: string): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`;
  return resource.namespaced
    ? `${root}/namespaces/${namespace}/${resource.plural}`
    : `${root}/${resource.plural}`;
}
