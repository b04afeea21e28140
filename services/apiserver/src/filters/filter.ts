import type { Exchange } from '../request/exchange.ts';

/** One step between connection and handler. Throws StatusError to refuse; what it sets is in the exchange. */
export type Filter = (exchange: Exchange) => void | Promise<void>;
