import type { Checks } from '../checks.ts';
import { encryption } from './encryption.ts';

/** Encryption at rest beside a stock server, audit, and what attackers send. `only` names one part. */
export async function security(checks: Checks, port: number, only: string | undefined): Promise<void> {
  const wants = (part: string): boolean => only === undefined || only === part;
  if (wants('encryption')) {
    await encryption(checks, 'pilothouse', port);
    await encryption(checks, 'etcd', port + 100);
  }
}
