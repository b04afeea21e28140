import { caller, CallError } from './call.ts';
import { JsonLines } from './lines.ts';

/** What a live collection tells; a page of the first list, then changes. */
export interface LiveHandler<L, W> {
  /** Forget everything: a list begins (again). */
  onReset(): void;
  onPage(page: L): void;
  onListed(): void;
  onChange(type: string, object: W): void;
  onState(state: LiveState, problem?: string): void;
}

export type LiveState = 'loading' | 'live' | 'paused' | 'broken';

export interface LiveOptions {
  readonly path: string;
  /** Query without `?`. */
  readonly query?: string;
  readonly accept?: string;
}

interface ListMeta {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

interface FrameObject extends ListMeta {
  readonly code?: number;
  readonly message?: string;
  readonly rows?: readonly { readonly object?: ListMeta }[] | null;
}

interface WatchFrame<W> {
  readonly type: string;
  readonly object: W & FrameObject;
}

/** Where a frame stands: a table has no version of its own unless it is a bookmark, its row has. */
function versionIn(object: FrameObject): string {
  return object.metadata?.resourceVersion || (object.rows?.at(-1)?.object?.metadata?.resourceVersion ?? '');
}

const pageSize = 500;
const pauseMs = (attempt: number): number => Math.min(15_000, 500 * 2 ** attempt);

/**
 * Lists in pages, then watches from there on; resumes where it was, and lists again when that is too long ago. While nobody sees the page it
 * lets the connection go: browsers have few for one host. Returns what ends it.
 */
export function follow<L extends ListMeta, W extends ListMeta>(
  options: LiveOptions,
  handler: LiveHandler<L, W>,
): () => void {
  const ended = new AbortController();
  let paused = new AbortController();
  const isHidden = (): boolean => document.visibilityState === 'hidden';
  const onVisibility = (): void => {
    if (isHidden()) paused.abort();
  };
  document.addEventListener('visibilitychange', onVisibility);
  const query = (members: Record<string, string>): string => {
    const params = new URLSearchParams(options.query ?? '');
    for (const [name, value] of Object.entries(members)) params.set(name, value);
    return `${options.path}?${params.toString()}`;
  };
  const accept = options.accept ?? 'application/json';
  const untilVisible = (): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (isHidden() && !ended.signal.aborted) return;
        document.removeEventListener('visibilitychange', look);
        ended.signal.removeEventListener('abort', look);
        resolve();
      };
      document.addEventListener('visibilitychange', look);
      ended.signal.addEventListener('abort', look);
      look();
    });
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      ended.signal.addEventListener('abort', () => {
        clearTimeout(timer);
        resolve();
      });
    });

  async function list(): Promise<string> {
    handler.onState('loading');
    handler.onReset();
    let next = '';
    for (;;) {
      const page = await caller.json<L>(
        query({ limit: String(pageSize), ...(next === '' ? {} : { continue: next }) }),
        { accept, signal: ended.signal },
      );
      handler.onPage(page);
      next = page.metadata?.continue ?? '';
      if (next !== '') continue;
      handler.onListed();
      return page.metadata?.resourceVersion ?? '';
    }
  }

  let version = '';
  let attempt = 0;

  /** Moves `version` on; empty: list again. However it ends, nothing that was shown comes twice. */
  async function watch(): Promise<void> {
    paused = new AbortController();
    const signal = AbortSignal.any([ended.signal, paused.signal]);
    const response = await caller.call(
      query({ watch: '1', allowWatchBookmarks: 'true', resourceVersion: version }),
      { accept, signal },
    );
    handler.onState('live');
    const lines = new JsonLines();
    const reader = (response.body as ReadableStream<Uint8Array>)
      .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
      .getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        for (const frame of lines.take(value) as WatchFrame<W>[]) {
          if (frame.type === 'ERROR') {
            if (frame.object.code === 410) {
              version = '';
              return;
            }
            throw new CallError(frame.object.code ?? 0, {
              message: frame.object.message ?? 'The watch broke',
            });
          }
          if (frame.type !== 'BOOKMARK') handler.onChange(frame.type, frame.object);
          version = versionIn(frame.object) || version;
          attempt = 0;
        }
      }
    } catch (error) {
      if (paused.signal.aborted && !ended.signal.aborted) return;
      throw error;
    }
  }

  void (async () => {
    while (!ended.signal.aborted) {
      try {
        if (version === '') version = await list();
        if (isHidden()) {
          handler.onState('paused');
          await untilVisible();
          continue;
        }
        await watch();
        attempt = 0;
        await pause(50);
      } catch (error) {
        if (ended.signal.aborted) return;
        if (error instanceof CallError && (error.status === 410 || error.status === 400)) version = '';
        handler.onState('broken', error instanceof Error ? error.message : String(error));
        if (error instanceof CallError && [401, 403, 404, 405].includes(error.status)) return;
        await pause(pauseMs(attempt++));
      }
    }
  })();
  return () => {
    document.removeEventListener('visibilitychange', onVisibility);
    ended.abort();
  };
}
