import type { LogFields, Logger } from '@pilothouse/base';

export type ZapLevel = 'debug' | 'info' | 'warn' | 'error' | 'panic' | 'fatal';

const order: Readonly<Record<string, number>> = { debug: 0, info: 1, warn: 2, error: 3, panic: 4, fatal: 5 };

export interface StoreLogger extends Logger {
  /** The last line before the process ends because of `message`. */
  fatal(message: string, fields?: LogFields): void;
}

export interface StoreLoggerOptions {
  readonly level: ZapLevel;
  readonly now: () => number;
  /** Microseconds within the current millisecond, for the time stamp. */
  readonly microseconds?: () => number;
  readonly write: (line: string) => void;
}

/** One JSON object a line in the form that etcd's tools and tests read: level, ts, caller, msg, then the fields. */
export function createStoreLogger(options: StoreLoggerOptions): StoreLogger {
  const least = order[options.level] ?? 1;
  const micros = options.microseconds ?? (() => Math.floor(process.hrtime()[1] / 1000) % 1000);
  const make = (base: LogFields): StoreLogger => {
    const emit = (level: ZapLevel, message: string, fields: LogFields | undefined): void => {
      if ((order[level] as number) < least) return;
      const ts = new Date(options.now()).toISOString().replace('Z', `${String(micros()).padStart(3, '0')}Z`);
      const line = JSON.stringify(
        { level, ts, caller: callerOf(), msg: message, ...base, ...fields },
        (_key, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
      );
      options.write(`${line}\n`);
    };
    return {
      debug: (message, fields) => emit('debug', message, fields),
      info: (message, fields) => emit('info', message, fields),
      warn: (message, fields) => emit('warn', message, fields),
      error: (message, fields) => emit('error', message, fields),
      fatal: (message, fields) => emit('fatal', message, fields),
      child: (fields) => make({ ...base, ...fields }),
    };
  };
  return make({});
}

/** `directory/file:line` of whoever logs. Logging is rare enough to pay for a stack. */
function callerOf(): string {
  const holder: { stack?: string } = {};
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 6;
  Error.captureStackTrace(holder, callerOf);
  Error.stackTraceLimit = limit;
  for (const line of (holder.stack ?? '').split('\n').slice(1)) {
    const match = /([^/\\(]+)[/\\]([^/\\]+?)\.[cm]?[jt]s:(\d+):\d+\)?$/.exec(line);
    if (match !== null && match[2] !== 'log') return `${match[1]}/${match[2]}.ts:${match[3]}`;
  }
  return 'store/main.ts:0';
}
