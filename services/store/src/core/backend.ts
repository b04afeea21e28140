/** Where the bytes of the state machine live. All writes since the last flush become durable together or not at all. */
export interface Backend {
  /** A small record (metadata, lease, alarm, member, user …). Keys are short ASCII paths such as `lease/00000000000000ff`. */
  readRecord(key: string): Uint8Array | undefined;
  writeRecord(key: string, value: Uint8Array): void;
  deleteRecord(key: string): void;
  /** Records whose key starts with `prefix`, in key order. */
  scanRecords(prefix: string): Iterable<readonly [string, Uint8Array]>;

  /** The encoded KeyValue written at revision (main, sub). */
  readRevision(main: number, sub: number): Uint8Array | undefined;
  writeRevision(main: number, sub: number, bytes: Uint8Array): void;
  deleteRevision(main: number, sub: number): void;
  /** Revisions with fromMain ≤ main ≤ toMain in order. Writing meanwhile is allowed; what is written may or may not show. */
  scanRevisions(fromMain: number, toMain: number): Iterable<RevisionRecord>;

  /** The writes so far are whole entries of the log: what becomes durable together may end here. */
  entryDone(): void;
  /** An image of this moment: later writes do not show in it. Must be released. */
  snapshot(): BackendImage;
  /** Begins another state beside this one, which goes on until that takes its place. One at a time. */
  replacement(): BackendReplacement;
  /** Makes all writes so far durable. */
  flush(): Promise<void>;
  /** Bytes taken from the disk; 0 in memory. */
  sizeAllocated(): number;
  /** Images that are not released yet; 0 in memory. */
  readonly openImages: number;
  /** Gives unused disk space back. */
  defragment(): Promise<void>;
  close(): Promise<void>;
}

export interface RevisionRecord {
  readonly main: number;
  readonly sub: number;
  readonly bytes: Uint8Array;
}

/** A state in the making. Ended by `install` or `abandon`. */
export interface BackendReplacement {
  writeRecord(key: string, value: Uint8Array): void;
  writeRevision(main: number, sub: number, bytes: Uint8Array): void;
  /** Resolves when enough of it is stored for more to be written. */
  settled(): Promise<void>;
  /** Makes it durable, puts it in the place of the present state, and calls `onInstalled` in the same turn. */
  install(onInstalled: () => void): Promise<void>;
  abandon(): Promise<void>;
}

export interface BackendImage {
  records(): Iterable<readonly [string, Uint8Array]>;
  revisions(): Iterable<RevisionRecord>;
  release(): void;
}
