export type { NodeAgent, NodeAgentOptions } from './agent.ts';
export { startNodeAgent } from './agent.ts';
export type { NodeSettings } from './core/node-object.ts';
export { runNodeAgent } from './main.ts';
