import type { KubeObject } from '@pilothouse/apimachinery';
import { cloneDecoded, statusErrors } from '@pilothouse/apimachinery';
import type { UpdatedObjectInfo } from '../../registry/rest/rest-storage.ts';
import type { Call } from '../call.ts';
import { admissionOf, contextOf, negotiateOutput } from '../call.ts';
import { writeOptionsOf } from '../options.ts';
import { bodyMediaType, decodeObject, matchNamespace, readRequestBody } from './decode-object.ts';
import { requireMember } from './require-member.ts';
import { respondStored } from './respond-stored.ts';

/** PUT. */
export async function handleUpdate(call: Call): Promise<void> {
  const update = requireMember(call, 'update');
  const { exchange } = call;
  const output = negotiateOutput(call);
  const mediaType = bodyMediaType(call);
  const body = await readRequestBody(call);
  const options = writeOptionsOf(exchange.query, 'UpdateOptions');
  const object = decodeObject(call, body, mediaType, options);
  matchNamespace(call, object);
  matchName(call, object);
  const context = contextOf(call, options);
  const { uid } = object.metadata;
  const info: UpdatedObjectInfo = {
    ...(uid ? { preconditions: { uid } } : {}),
    updatedObject: () => cloneDecoded(object),
  };
  const { object: stored, created } = await update(
    context,
    call.name,
    info,
    { dryRun: options.dryRun, fieldManager: context.fieldManager },
    admissionOf(call, context, 'UpdateOptions', {
      ...(options.dryRun.length > 0 ? { dryRun: options.dryRun } : {}),
      fieldManager: context.fieldManager,
      fieldValidation: options.fieldValidation,
    }),
  );
  await respondStored(call, created ? 201 : 200, stored, output);
}

/** The body's name must be that of the path; a body without one is refused. Throws 400. */
export function matchName(call: Call, object: KubeObject): void {
  const { name } = object.metadata;
  if (!name) {
    throw statusErrors.badRequest(
      `the name of the object (${call.name} based on URL) was undeterminable: name must be provided`,
    );
  }
  if (name !== call.name) {
    throw statusErrors.badRequest(
      `the name of the object (${name}) does not match the name on the URL (${call.name})`,
    );
  }
}
