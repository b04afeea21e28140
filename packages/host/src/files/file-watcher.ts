import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Clock, Logger } from '@pilothouse/base';
import { errorMessage } from '@pilothouse/base';
import type { Metrics } from '../metrics/metrics.ts';
import { nodeClock } from '../node-clock.ts';

/** How often files are looked at, milliseconds. A new content is in force at most this long after it was written. */
export const filePollMs = 2000;

/** Files that belong together: a certificate and its key, a bundle of authorities. */
export interface FollowedFiles {
  /** The flag that names them, or what they are; for log lines and the metric: `client-ca-file`. */
  readonly what: string;
  readonly files: readonly string[];
  /** Files that cannot be read or used at the start are an Error of {@link FileWatcher.follow}. Default: they are waited for. */
  readonly required?: boolean;
  /**
   * Takes the texts, in the order of `files`. An Error keeps the old content in force; a pair that is half written is looked at again until it
   * fits. What it returns is the public part that is now in force: its hash is told in the metric.
   */
  apply(texts: readonly string[]): string | void;
}

interface Followed {
  readonly group: FollowedFiles;
  seen: string;
  failed: string | undefined;
}

/**
 * Follows the certificates, keys and authorities of a process: looks at all files by one timer and applies what changed. Nothing is dropped by
 * that: who applies decides what becomes of open connections. Logs name the files, never what is in them.
 */
export class FileWatcher {
  readonly #clock: Clock;
  readonly #logger: Logger | undefined;
  readonly #followed = new Set<Followed>();
  readonly #inForce = new Map<string, string>();
  readonly #timer: { cancel(): void };

  constructor(options: { readonly clock?: Clock; readonly logger?: Logger } = {}) {
    this.#clock = options.clock ?? nodeClock;
    this.#logger = options.logger;
    this.#timer = this.#clock.setInterval(() => this.look(), filePollMs);
  }

  /** Applies the files as they are now and each time they change. The returned function ends it. Throws only for `required` files. */
  follow(group: FollowedFiles): () => void {
    const followed: Followed = { group, seen: '', failed: undefined };
    this.#look(followed, false);
    this.#followed.add(followed);
    return () => {
      this.#followed.delete(followed);
      this.#inForce.delete(group.what);
    };
  }

  /** Looks at all files now. */
  look(): void {
    for (const followed of this.#followed) this.#look(followed, true);
  }

  /** SHA-256 (lower-case hex) of what is in force, by {@link FollowedFiles.what}. */
  get inForce(): ReadonlyMap<string, string> {
    return this.#inForce;
  }

  /** Adds the gauge `pilothouse_file_in_force{file,hash}`, by which an operator sees that a process has taken a change. */
  register(metrics: Pick<Metrics, 'gauge'>): void {
    metrics.gauge(fileMetric, fileMetricHelp, () =>
      Array.from(this.#inForce, ([file, hash]) => [{ file, hash: `sha256:${hash}` }, 1] as const),
    );
  }

  close(): void {
    this.#timer.cancel();
    this.#followed.clear();
  }

  #look(followed: Followed, isChange: boolean): void {
    const { what, files, apply } = followed.group;
    try {
      const stamp = stampOf(files);
      if (stamp === followed.seen) return;
      const shown = apply.call(
        followed.group,
        files.map((file) => readFileSync(file, 'utf8')),
      );
      followed.seen = stamp;
      followed.failed = undefined;
      if (typeof shown === 'string') this.#inForce.set(what, contentHash(shown));
      if (isChange) this.#logger?.info('Took over changed files', { of: what, files: files.join() });
    } catch (error) {
      // Between two files of a renewal, or gone for a moment: the next look finds both. Told once for each failure.
      if (!isChange && followed.group.required === true) throw error;
      const text = errorMessage(error);
      if (followed.failed === text) return;
      followed.failed = text;
      this.#logger?.warn('Cannot take over changed files yet; the old content stays in force', {
        of: what,
        files: files.join(),
        error: text,
      });
    }
  }
}

export const fileMetric = 'pilothouse_file_in_force';
export const fileMetricHelp =
  'Files of certificates, keys and authorities that this process follows, with the hash of the public part that is in force.';

/** SHA-256 in lower-case hex, as in the metric behind `sha256:`. */
export function contentHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function stampOf(files: readonly string[]): string {
  return files
    .map((file) => {
      const { mtimeMs, size, ino } = statSync(file);
      return `${mtimeMs}:${size}:${ino}`;
    })
    .join();
}
