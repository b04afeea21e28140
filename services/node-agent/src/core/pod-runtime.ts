import type { KubeObject } from '@pilothouse/apimachinery';

/** What the agent's server and its life cycle need of whatever runs the pods. */
export interface PodRuntime {
  /** Called once, when the pods of this node are known. */
  start(): void;
  /** `endPods`: their processes end too; otherwise the next agent goes on with them. */
  stop(endPods: boolean): Promise<void>;
  /** Pods bound to this node. */
  list(): KubeObject[];
}
