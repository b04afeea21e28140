export { missingRequests } from './constraints.ts';
export type { QuotaOutcome, QuotaRequest } from './evaluate.ts';
export { evaluateQuotas, usageDelta } from './evaluate.ts';
export type { Amounts } from './pod-resources.ts';
export { addAmounts, amountsOf, podAmounts } from './pod-resources.ts';
export type { Container, PodSpec, ResourceRequirements, Toleration, Volume } from './pod-shape.ts';
export { allContainers, isMirrorPod, mirrorAnnotation, podSpec } from './pod-shape.ts';
export { isBestEffort, scopesMatch } from './scopes.ts';
export { usageOf } from './usage.ts';
