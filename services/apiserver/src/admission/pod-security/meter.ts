import { binaryMinor } from '../../emulated-release.ts';
import type { AdmissionAttributes, AdmissionTimes } from '../interface.ts';
import type { LevelVersion, PodSecurityMode } from './namespace-policy.ts';

const openPods = ['allow', 'privileged', 'latest', 'enforce'] as const;

/** Counts what PodSecurity decided, let pass unseen and could not judge. */
export class PodSecurityMeter {
  #series: AdmissionTimes['podSecurity'];

  measure({ podSecurity }: AdmissionTimes): void {
    this.#series = podSecurity;
    if (podSecurity === undefined) return;
    // The usual ones stand in the metrics from the start, as upstream's.
    for (const operation of ['create', 'update']) {
      podSecurity.evaluations.cell(...openPods, operation, 'pod', '');
      for (const resource of ['pod', 'controller']) podSecurity.exemptions.cell(operation, resource, '');
    }
  }

  evaluated(
    decision: 'allow' | 'deny',
    policy: LevelVersion,
    mode: PodSecurityMode,
    attributes: AdmissionAttributes,
  ): void {
    this.#series?.evaluations
      .cell(decision, policy.level, versionLabel(policy), mode, ...requestLabels(attributes))
      .inc();
  }

  exempted(attributes: AdmissionAttributes): void {
    this.#series?.exemptions.cell(...requestLabels(attributes)).inc();
  }

  /** `isFatal`: the request was not judged at all. */
  failed(isFatal: boolean, attributes: AdmissionAttributes): void {
    this.#series?.errors.cell(String(isFatal), ...requestLabels(attributes)).inc();
  }
}

/** Releases to come share one label, so that namespaces cannot make series without end. */
function versionLabel({ level, version }: LevelVersion): string {
  if (level === 'privileged' || version === 'latest') return 'latest';
  return Number(version.slice('v1.'.length)) > binaryMinor ? 'future' : version;
}

function requestLabels({ operation, resource, subresource }: AdmissionAttributes): string[] {
  const kind =
    resource.group !== ''
      ? 'controller'
      : resource.resource === 'pods'
        ? 'pod'
        : resource.resource === 'namespaces'
          ? 'namespace'
          : 'controller';
  return [operation.toLowerCase(), kind, subresource];
}
