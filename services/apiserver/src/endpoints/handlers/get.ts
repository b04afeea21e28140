import { requireMember } from './require-member.ts';
import { contextOf, negotiateOutput } from '../call.ts';
import type { Call } from '../call.ts';
import { respondStored } from './respond-stored.ts';

export async function handleGet(call: Call): Promise<void> {
  const get = requireMember(call, 'get');
  const output = negotiateOutput(call);
  const resourceVersion = call.exchange.query.get('resourceVersion') ?? '';
  const stored = await get(contextOf(call), call.name, resourceVersion === '' ? {} : { resourceVersion });
  await respondStored(call, 200, stored, output);
}
