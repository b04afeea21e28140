export { controllers } from './controllers.ts';
export type { ControllerDescriptor, ControllerSettings } from './context.ts';
export type { ControllerManager, ControllerManagerOptions } from './manager.ts';
export { startControllerManager } from './manager.ts';
export { runControllerManager } from './main.ts';
