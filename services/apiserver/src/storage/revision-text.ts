import { goQuote, StatusError, statusErrors } from '@pilothouse/apimachinery';

/**
 * A resourceVersion as a number; '' is 0. Text that is no unsigned integer is refused in upstream's words: of a list and of a get
 * that no cache answers (`list`) with 400; a cache does not classify the problem of a get or a watch: 500.
 */
export function parseResourceVersion(text: string, verb: 'list' | 'other' = 'other'): number {
  if (text === '') return 0;
  if (!/^[0-9]+$/.test(text)) {
    const problem = `resourceVersion: Invalid value: ${goQuote(text)}: strconv.ParseUint: parsing ${goQuote(text)}: invalid syntax`;
    if (verb === 'list') throw statusErrors.badRequest(`invalid resource version: ${problem}`);
    throw new StatusError(500, '', problem);
  }
  return Number(text);
}
