export { celEnvironment } from './environment.ts';
export { compilationMessage, evaluationMessage } from './messages.ts';
export { equalValues } from './values.ts';
