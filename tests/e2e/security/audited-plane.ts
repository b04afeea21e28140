import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { startPlane, type Plane } from '../plane.ts';

export interface AuditedPlane {
  readonly plane: Plane;
  /** Of this run, for files of the test; gone after {@link AuditedPlane.remove}. */
  readonly folder: string;
  readonly auditLog: string;
  remove(): void;
}

/** A plane of one process of each kind that keeps an audit log by the policy (YAML). */
export async function startAuditedPlane(options: {
  readonly port: number;
  readonly policy: string;
  readonly nodes: number;
}): Promise<AuditedPlane> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-security-'));
  const policyFile = path.join(folder, 'policy.yaml');
  const auditLog = path.join(folder, 'audit.log');
  writeFileSync(policyFile, options.policy);
  const plane = await startPlane({
    port: options.port,
    args: [
      ...['--members=1', '--replicas=1', '--schedulers=1', '--controller-managers=1'],
      `--nodes=${options.nodes}`,
      `--apiserver-arg=--audit-policy-file=${policyFile}`,
      `--apiserver-arg=--audit-log-path=${auditLog}`,
    ],
  });
  return { plane, folder, auditLog, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
