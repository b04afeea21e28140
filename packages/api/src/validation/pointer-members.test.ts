import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { MessageSchema, TypeRef } from '@pilothouse/apimachinery';
import { fieldsByName } from '@pilothouse/apimachinery';
import { builtinResources, builtinSchemas } from '../index.ts';
import { pointerMembers } from './pointer-members.ts';
import { semanticEqual } from './values.ts';

const elementOf = (type: TypeRef): TypeRef =>
  type.kind === 'list' ? elementOf(type.element) : type.kind === 'map' ? elementOf(type.value) : type;

it('lists the members that are pointers to structures everywhere', () => {
  const pointers = new Set<string>();
  const others = new Set<string>();
  const seen = new Set<string>();
  const visit = (message: MessageSchema | undefined): void => {
    if (message === undefined || seen.has(message.name)) return;
    seen.add(message.name);
    for (const field of fieldsByName(builtinSchemas, message).values()) {
      const { kind } = field.type;
      if (kind === 'message' && field.pointer === true) pointers.add(field.name);
      else if (kind === 'message' || kind === 'map') others.add(field.name);
      const element = elementOf(field.type);
      if (element.kind === 'message') visit(builtinSchemas.message(element.message));
    }
  };
  for (const { group, version, kind } of builtinResources) visit(builtinSchemas.kind(group, version, kind));
  assert.deepEqual([...pointerMembers].sort(), [...pointers].filter((name) => !others.has(name)).sort());
});

it('tells an empty structure behind a pointer from none', () => {
  assert.equal(semanticEqual({ securityContext: {} }, {}), false);
  assert.equal(semanticEqual({ affinity: {} }, { affinity: null }), false);
  assert.equal(semanticEqual({ resources: {}, labels: {}, args: [] }, {}), true);
});
