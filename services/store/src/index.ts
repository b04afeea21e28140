export type { ParsedConfig, StoreConfig, TlsFiles } from './config.ts';
export { parseConfig, storeFlags } from './config.ts';
export { runStore } from './main.ts';
export type { StorePorts, StoreServer, StoreStatus } from './server.ts';
export { startStore } from './server.ts';
