import { pino } from 'pino';
import type { LogFields, Logger, LogLevel } from '@pilothouse/base';

/** Options of {@link createLogger}. */
export interface LogOptions {
  readonly level?: LogLevel;
  /** Component name, on each line. */
  readonly component?: string;
  /** File descriptor or stream to write to; default stderr. */
  readonly destination?: NodeJS.WritableStream;
}

/** A logger that writes one JSON object a line: `ts` (RFC 3339), `level`, `component`, `msg`, then the fields. */
export function createLogger(options: LogOptions = {}): Logger {
  const sink = pino(
    {
      level: options.level ?? 'info',
      base: options.component === undefined ? null : { component: options.component },
      messageKey: 'msg',
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.destination ?? pino.destination({ fd: 2, sync: true }),
  );
  const wrap = (target: typeof sink): Logger => ({
    debug: (message, fields) => target.debug(fields ?? {}, message),
    info: (message, fields) => target.info(fields ?? {}, message),
    warn: (message, fields) => target.warn(fields ?? {}, message),
    error: (message, fields) => target.error(fields ?? {}, message),
    child: (fields: LogFields) => wrap(target.child(fields) as typeof sink),
  });
  return wrap(sink);
}
