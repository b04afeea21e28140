import { readFile } from 'node:fs/promises';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';

/** How often files of configuration are looked at, milliseconds. */
const pollMs = 2000;

export interface FileWatch {
  readonly file: string;
  /** What is in force. */
  readonly text: string;
  /** For log lines: `authentication configuration`. */
  readonly what: string;
  /** Takes the new text; an Error keeps the old one in force until the file changes again. */
  apply(text: string): void;
  /** Counts what came of changes. */
  readonly reloads?: { succeeded(text: string): void; failed(): void } | undefined;
}

/**
 * Looks at a file again and again and applies each change. A bad one is told once and changes nothing. The log names the file, never
 * what is in it. The returned function ends it.
 */
export function watchFile(watch: FileWatch, options: { clock: Clock; logger: Logger }): () => void {
  const { clock, logger } = options;
  let seen = watch.text;
  let isReading = false;
  let unreadable = false;
  const look = async (): Promise<void> => {
    const text = await readFile(watch.file, 'utf8');
    unreadable = false;
    if (text === seen) return;
    seen = text;
    watch.apply(text);
    watch.reloads?.succeeded(text);
    logger.info(`Reloaded the ${watch.what}`, { file: watch.file });
  };
  const timer = clock.setInterval(() => {
    if (isReading) return;
    isReading = true;
    look()
      .catch((error: unknown) => {
        const isRead = (error as { syscall?: string }).syscall !== undefined;
        if (isRead && unreadable) return;
        unreadable = isRead;
        watch.reloads?.failed();
        logger.error(`Cannot reload the ${watch.what}; the old one stays in force`, {
          file: watch.file,
          error: errorMessage(error),
        });
      })
      .finally(() => (isReading = false));
  }, pollMs);
  return () => timer.cancel();
}
