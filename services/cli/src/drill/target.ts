import type { ClusterAccess } from '@pilothouse/client';

export type Role = 'leader' | 'follower';

/** A process (local) or container (compose) of the plane. */
export interface TargetProcess {
  readonly component: string;
  readonly name: string;
  /** Of the Node process on this host; 0 while it does not run. */
  readonly pid: number;
  readonly role?: Role;
  readonly ready: boolean;
}

/** How links of a store member to the others are cut: all, those it opens (it is not heard), those it accepts (it does not hear). */
export type Cut = 'both' | 'mute' | 'deaf';

/** Gives back what a fault took. */
export type Undo = () => Promise<void>;

/** A plane that drills may break. */
export interface Target {
  readonly kind: 'local' | 'compose';
  /** The flag that names it, for the command to repeat. */
  readonly flag: string;
  /** As the administrator's kubeconfig has it now. */
  readonly access: ClusterAccess;
  readonly hasNodes: boolean;
  processes(): Promise<readonly TargetProcess[]>;
  /** SIGKILL; whoever supervises the plane starts it again. */
  kill(names: readonly string[]): Promise<void>;
  freeze(names: readonly string[]): Promise<Undo>;
  /** SIGTERM and a new start. Resolves when the old one has ended. */
  restart(name: string): Promise<void>;
  cut(name: string, how: Cut): Promise<Undo>;
  /** Why links cannot be cut here; undefined: they can. */
  cannotCut(): Promise<string | undefined>;
  /** Takes away a follower's data for good and lets a new member take its place. */
  replaceMember(name: string): Promise<void>;
  cannotReplace(): string | undefined;
  /** New certificates for all components of a running plane. Resolves to whom they were made for. */
  rotateCertificates(): Promise<string>;
  cannotRotate(): string | undefined;
  /** Replaces all authorities: trust, sign, drop, each taken by every process before the next. `step` hears of each before it is done. */
  replaceAuthorities(step: (name: string) => void): Promise<void>;
  /** Takes a backup, then loses everything and restores it. */
  restoreFromBackup(hooks: { backedUp(): Promise<void>; down(): Promise<void> }): Promise<void>;
  cannotRestore(): string | undefined;
  /** Moves the clock of one process by so many seconds. */
  moveClock(name: string, seconds: number): Promise<Undo>;
  cannotMoveClock(): Promise<string | undefined>;
  /** Puts the next version in place of `name`. */
  upgrade(name: string): Promise<void>;
  cannotUpgrade(): string | undefined;
  redis(): Promise<{ stop(): Promise<Undo> } | string>;
}
