export { nodeClock } from './node-clock.ts';
export { nodeRandom } from './node-random.ts';
export { nodeNameLookup } from './node-name-lookup.ts';
export { nodeDisk, removeLarge } from './node-disk.ts';
export type { LogOptions } from './log.ts';
export { createLogger } from './log.ts';
export type { FlagSpec, FlagSpecs, FlagType, FlagValue, ParsedFlags } from './flags.ts';
export { FlagError, flagUsage, parseDuration, parseFlags } from './flags.ts';
export type { CertificateAndKey, CertificateRequest, CertificateUsage } from './pki/certificate.ts';
export { createAuthority, createSigningKey, firstCertificate, issueCertificate } from './pki/certificate.ts';
export type {
  RevocationReader,
  Revocations,
  RevokedCertificate,
  SignedRevocationReader,
} from './pki/revocation-list.ts';
export {
  createRevocationList,
  loadRevocationReader,
  loadSignedRevocationReader,
  noRevocations,
  plainSerial,
  readRevocationList,
} from './pki/revocation-list.ts';
export type { Pki, PkiEntry, PkiOptions } from './pki/pki-directory.ts';
export { ensurePki } from './pki/pki-directory.ts';
export { writeSecretFile } from './pki/pki-files.ts';
export { revocationFile, revokeSerials } from './pki/revocation-file.ts';
export type { AuthorityName, RotationStage } from './pki/authority-rotation.ts';
export {
  authorityNames,
  AuthorityRotation,
  publicPem,
  SigningKeyRotation,
} from './pki/authority-rotation.ts';
export { validityProblem } from './pki/certificate-validity.ts';
export type { SigningRequest, SignOptions } from './pki/signing-request.ts';
export { createSigningRequest, parseSigningRequest, signCsr } from './pki/signing-request.ts';
export type { KubeconfigOptions } from './pki/kubeconfig.ts';
export { renderKubeconfig } from './pki/kubeconfig.ts';
export type { ComponentServer, ComponentServerOptions } from './component-server.ts';
export { startComponentServer } from './component-server.ts';
export type { ComponentAccess } from './component-server.ts';
export { delegatedAccessFlags, delegatedAccessSettings } from './delegated-access-flags.ts';
export type { DelegatedAccessSettings } from './delegated-access-flags.ts';
export type { LeaderElectionSettings } from './leader-election-flags.ts';
export { leaderElectionFlags, leaderElectionSettings } from './leader-election-flags.ts';
export type { Labels } from './metrics/metrics.ts';
export { Metrics } from './metrics/metrics.ts';
export { registerProcessMetrics } from './metrics/process-metrics.ts';
export { buildLabels, releaseVersion } from './metrics/build.ts';
export type { QueueObserver, RequestObserver } from './metrics/client-metrics.ts';
export { clientMetrics, queueMetrics } from './metrics/client-metrics.ts';
export type { ServedCertificateFiles } from './pki/served-certificate.ts';
export { followServedCertificate, readServedCertificate, serverTlsPolicy } from './pki/served-certificate.ts';
export type { FollowedFiles } from './files/file-watcher.ts';
export { contentHash, fileMetric, fileMetricHelp, filePollMs, FileWatcher } from './files/file-watcher.ts';
export type { OtlpTracer, OtlpTracerOptions } from './tracing/otlp-tracer.ts';
export { createOtlpTracer } from './tracing/otlp-tracer.ts';
export { otlpEndpoint } from './tracing/otlp-endpoint.ts';
export type { TlsPolicy } from './pki/tls-policy.ts';
export { defaultTlsPolicy, tlsCurvesFrom, tlsPolicyFlags, tlsPolicyFrom } from './pki/tls-policy.ts';
export { selfSignedServing } from './pki/self-signed.ts';
