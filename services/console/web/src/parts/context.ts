import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Kind } from '../model/kinds.ts';

/** Who is logged in, and what this console was given. */
export interface SessionView {
  readonly user: string;
  readonly server: string;
  readonly store: boolean;
  readonly drills: boolean;
}

export interface Shared {
  readonly session: SessionView;
  readonly kinds: readonly Kind[];
  readonly namespaces: readonly string[];
}

export const SharedContext = createContext<Shared | undefined>(undefined);

export function useShared(): Shared {
  const shared = useContext(SharedContext);
  if (shared === undefined) throw new Error('There is no session here');
  return shared;
}
