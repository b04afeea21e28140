import { deepEqual } from '../storage/deep.ts';

type Json = Record<string, unknown>;

/** An OpenAPI v2 document of another server, of which only the paths below `prefix` count. */
export interface ForeignOpenApi {
  readonly document: Json;
  readonly prefix: string;
}

const definitionRef = '#/definitions/';

/**
 * Adds the foreign paths and the definitions that they need to `own`, which is changed. A definition of the same name that says something
 * else gets a new name, `NAME_v2` and so on; paths that are there already stay as they are.
 */
export function mergeOpenApiV2(own: Json, foreign: readonly ForeignOpenApi[]): void {
  const paths = ((own['paths'] as Json | undefined) ??= {});
  own['paths'] = paths;
  const definitions = { ...(own['definitions'] as Json | undefined) };
  own['definitions'] = definitions;
  for (const { document, prefix } of foreign) {
    const given = (document['paths'] ?? {}) as Json;
    const wanted = Object.keys(given).filter((path) => path.startsWith(prefix) && !(path in paths));
    const theirs = (document['definitions'] ?? {}) as Json;
    const used = new Set<string>();
    for (const path of wanted) collect(given[path], theirs, used);
    const renamed = new Map<string, string>();
    for (const name of used) {
      if (!(name in definitions) || deepEqual(definitions[name], theirs[name])) continue;
      let number = 2;
      while (`${name}_v${number}` in definitions || `${name}_v${number}` in theirs) number++;
      renamed.set(name, `${name}_v${number}`);
    }
    for (const path of wanted) paths[path] = withNames(given[path], renamed);
    for (const name of used) {
      const key = renamed.get(name) ?? name;
      if (!(key in definitions)) definitions[key] = withNames(theirs[name], renamed);
    }
  }
}

function collect(value: unknown, definitions: Json, used: Set<string>): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [key, member] of Object.entries(value)) {
    if (key === '$ref' && typeof member === 'string' && member.startsWith(definitionRef)) {
      const name = member.slice(definitionRef.length);
      if (used.has(name) || !Object.hasOwn(definitions, name)) continue;
      used.add(name);
      collect(definitions[name], definitions, used);
    } else {
      collect(member, definitions, used);
    }
  }
}

function withNames(value: unknown, renamed: ReadonlyMap<string, string>): unknown {
  if (renamed.size === 0 || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((each) => withNames(each, renamed));
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key !== '$ref' || typeof member !== 'string') return [key, withNames(member, renamed)];
      const to = renamed.get(member.slice(definitionRef.length));
      return [key, to === undefined ? member : `${definitionRef}${to}`];
    }),
  );
}
