export type { ApiServerConfig, StoreConfig, TlsFiles } from './config.ts';
export { defaultConfig, parseConfig } from './config.ts';
export type { ApiServerPorts, RunningApiServer } from './start.ts';
export { startApiServer } from './start.ts';
export { runApiServer } from './main.ts';
