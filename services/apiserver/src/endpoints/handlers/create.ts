import type { Status } from '@pilothouse/apimachinery';
import type { Stored } from '../../registry/rest/rest-storage.ts';
import type { Call } from '../call.ts';
import { admissionOf, contextOf, negotiateOutput } from '../call.ts';
import { writeOptionsOf } from '../options.ts';
import { bodyMediaType, decodeObject, matchNamespace, readRequestBody } from './decode-object.ts';
import { requireMember } from './require-member.ts';
import { isStored, respondResult } from './respond-stored.ts';

/** POST to a collection, or to a subresource of a named object (binding, eviction, token). */
export async function handleCreate(call: Call): Promise<void> {
  const create = requireMember(call, 'create');
  const { exchange } = call;
  const output = negotiateOutput(call);
  const mediaType = bodyMediaType(call);
  const body = await readRequestBody(call);
  const options = writeOptionsOf(exchange.query, 'CreateOptions');
  const object = decodeObject(call, body, mediaType, options);
  matchNamespace(call, object);
  const context = contextOf(call, options);
  const createOptions = { dryRun: options.dryRun, fieldManager: context.fieldManager };
  const admission = admissionOf(call, context, 'CreateOptions', {
    ...(options.dryRun.length > 0 ? { dryRun: options.dryRun } : {}),
    fieldManager: context.fieldManager,
    fieldValidation: options.fieldValidation,
  });
  const result = await create(context, call.name, object, createOptions, admission);
  await respondResult(call, codeOf(result), result, output);
}

function codeOf(result: Stored | Status): number {
  return isStored(result) ? 201 : (result.code ?? 201);
}
