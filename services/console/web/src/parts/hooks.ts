import { useEffect, useRef, useState } from 'preact/hooks';
import { follow, type LiveState } from '../model/live.ts';
import { TableStore, type Table } from '../model/table.ts';

/** Milliseconds since the epoch, now and every `periodMs`. */
export function useNow(periodMs: number): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), periodMs);
    return () => clearInterval(timer);
  }, [periodMs]);
  return now;
}

/** Asks again and again while somebody looks. Keeps the last answer when one fails. */
export function usePolled<T>(
  ask: (signal: AbortSignal) => Promise<T>,
  periodMs: number,
  inputs: readonly unknown[],
): { value?: T; problem?: string } {
  const [state, setState] = useState<{ value?: T; problem?: string }>({});
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = async (): Promise<void> => {
      if (document.visibilityState === 'visible') {
        try {
          const value = await ask(ended.signal);
          if (!ended.signal.aborted) setState({ value });
        } catch (error) {
          const problem = error instanceof Error ? error.message : String(error);
          if (!ended.signal.aborted)
            setState((last) => ({ ...(last.value === undefined ? {} : { value: last.value }), problem }));
        }
      }
      if (!ended.signal.aborted) timer = setTimeout(() => void turn(), periodMs);
    };
    void turn();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, inputs);
  return state;
}

export interface LiveTable {
  readonly store: TableStore;
  /** Changes with every change of the store. */
  readonly version: number;
  readonly state: LiveState;
  readonly problem?: string;
  readonly listed: boolean;
}

const tableAccept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';

/** A collection as the server's table, followed. Changes of one frame of the screen are shown together. */
export function useLiveTable(path: string): LiveTable {
  const store = useRef(new TableStore());
  const [view, setView] = useState({ version: 0, listed: false });
  const [live, setLive] = useState<{ state: LiveState; problem?: string }>({ state: 'loading' });
  useEffect(() => {
    store.current = new TableStore();
    let frame = 0;
    let listed = false;
    const show = (): void => {
      if (frame !== 0) return;
      frame = requestAnimationFrame(() => {
        frame = 0;
        setView((last) => ({ version: last.version + 1, listed }));
      });
    };
    const end = follow<Table, Table>(
      { path, accept: tableAccept },
      {
        onReset: () => {
          store.current.reset();
          listed = false;
          show();
        },
        onPage: (page) => {
          store.current.take('ADDED', page);
          show();
        },
        onListed: () => {
          listed = true;
          show();
        },
        onChange: (type, object) => {
          store.current.take(type, object);
          show();
        },
        onState: (state, problem) => setLive(problem === undefined ? { state } : { state, problem }),
      },
    );
    return () => {
      end();
      cancelAnimationFrame(frame);
    };
  }, [path]);
  return { store: store.current, ...view, ...live };
}
