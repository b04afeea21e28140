export { runConsole } from './main.ts';
