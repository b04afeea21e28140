/** Feature gates apart from the kinds, for programs that have no use for those. */
export { featureGates } from '../generated/feature-gates.ts';
