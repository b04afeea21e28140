import type { Random } from '@pilothouse/base';
import { uuid } from '@pilothouse/base';
import { limits } from '../limits.ts';
import type { Filter } from './filter.ts';

/** Gives each request an id that the answer, the audit log and this server's log share. */
export function auditIdFilter(random: Random): Filter {
  return (exchange) => {
    const given = exchange.header('audit-id');
    exchange.auditId =
      given !== '' && given.length <= limits.auditIdLengthMax && /^[\x21-\x7e]+$/.test(given)
        ? given
        : uuid(random);
    exchange.response.setHeader('Audit-Id', exchange.auditId);
    exchange.response.setHeader('Cache-Control', 'no-cache, private');
  };
}
