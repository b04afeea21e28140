import { goQuote, statusErrors } from '@pilothouse/apimachinery';

/** A resourceVersion as a number; '' is 0. Throws 400 with upstream's text when it is no unsigned integer. */
export function parseResourceVersion(text: string): number {
  if (text === '') return 0;
  if (!/^[0-9]+$/.test(text)) {
    const problem = `strconv.ParseUint: parsing ${goQuote(text)}: invalid syntax`;
    throw statusErrors.badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${goQuote(text)}: ${problem}`,
    );
  }
  return Number(text);
}
