export type { ParsedConfig, StoreConfig, TlsFiles } from './config.ts';
export { parseConfig } from './config.ts';
export { storeFlags } from './store-flags.ts';
export { runStore } from './main.ts';
export type { StorePorts, StoreServer, StoreStatus } from './server.ts';
export { startStore } from './server.ts';
export type { RestoredStore, RestoreStoreOptions } from './io/backup/restore.ts';
export { restoreStore } from './io/backup/restore.ts';
