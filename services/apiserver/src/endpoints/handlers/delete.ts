import type { DeleteOptions } from '../../registry/rest/rest-storage.ts';
import type { Call } from '../call.ts';
import { admissionOf, contextOf, negotiateOutput } from '../call.ts';
import { contentTypeOf } from '../negotiation.ts';
import { deleteOptionsOfQuery, listOptionsOf, validateDeleteOptions } from '../options.ts';
import { readRequestBody } from './decode-object.ts';
import { respondList } from './list.ts';
import { requireMember } from './require-member.ts';
import { respondResult } from './respond-stored.ts';

export async function handleDelete(call: Call): Promise<void> {
  const remove = requireMember(call, 'delete');
  const output = negotiateOutput(call);
  const options = await deleteOptions(call);
  warnOfPropagation(call, options);
  const context = contextOf(call, writeOptions(options));
  const { object, immediate } = await remove(
    context,
    call.name,
    options,
    admissionOf(call, context, 'DeleteOptions', options),
  );
  // Who asked not to orphan learns that dependents keep the object for now.
  const code = !immediate && options.orphanDependents === false ? 202 : 200;
  await respondResult(call, code, object, output);
}

export async function handleDeleteCollection(call: Call): Promise<void> {
  const remove = requireMember(call, 'deleteCollection');
  const output = negotiateOutput(call);
  const listOptions = listOptionsOf(call.exchange.query, false);
  const options = await deleteOptions(call);
  const context = contextOf(call, writeOptions(options));
  const result = await remove(
    context,
    options,
    listOptions,
    admissionOf(call, context, 'DeleteOptions', options),
  );
  warnOfPropagation(call, options);
  await respondList(call, result, output);
}

/** A kind may have a default that its clients do not expect. */
function warnOfPropagation(call: Call, options: DeleteOptions): void {
  if (options.propagationPolicy !== undefined || options.orphanDependents !== undefined) return;
  call.exchange.addWarning(call.storage.strategy?.deleteWithoutPropagationWarning ?? '');
}

function writeOptions(options: DeleteOptions): Parameters<typeof contextOf>[1] {
  return { dryRun: options.dryRun ?? [], fieldManager: '', fieldValidation: 'Ignore' };
}

/** From the body when there is one, else from the query. Throws 400, 413, 415 and 422. */
async function deleteOptions(call: Call): Promise<DeleteOptions> {
  const { exchange, services } = call;
  const body = await readRequestBody(call);
  if (body.length === 0) return validateDeleteOptions(deleteOptionsOfQuery(exchange.query));
  const mediaType = contentTypeOf(exchange.header('content-type'));
  return validateDeleteOptions(services.codec.decodeDeleteOptions(body, mediaType));
}
