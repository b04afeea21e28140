import type { Checks } from '../checks.ts';
import { attackSuite } from './attacks.ts';
import { breaker } from './breaker.ts';
import { bootstrapAndAudit } from './bootstrap.ts';
import { encryption } from './encryption.ts';
import { stockKubelet } from './kubelet.ts';
import { kubectlRights } from './kubectl-rights.ts';
import { plugins } from './plugins.ts';
import { rights } from './rights.ts';
import { rotation } from './rotation.ts';
import { externalSigner } from './signer.ts';
import { peer } from '../stock/programs.ts';

/** Encryption at rest beside a stock server (`encryption`); a kubelet's TLS bootstrap, the audit log, silent logs (`bootstrap`);
 * authorities, keys and certificates replaced under load (`rotation`); a stock kubelet that joins (`kubelet`);
 * admission plugins beside a stock server (`plugins`), and kubectl's commands about rights, tokens and certificates (`kubectl-rights`); what must not work, and what the audit log says of it (`attacks`). */
export async function security(checks: Checks, port: number, only: string | undefined): Promise<void> {
  const wants = (part: string): boolean => only === undefined || only === part;
  const kubectl = process.env['KUBECTL'] ?? peer('kubectl');
  if (wants('bootstrap')) await bootstrapAndAudit(checks, port + 200, kubectl);
  if (wants('rights') || only === 'rights-tour')
    await rights(checks, port + 500, kubectl, only === 'rights-tour');
  if (wants('attacks')) await attackSuite(checks, port + 400);
  if (wants('breaker')) await breaker(checks, port + 900, kubectl);
  if (wants('signer')) await externalSigner(checks, port + 600);
  if (wants('rotation')) await rotation(checks, port + 700, kubectl);
  if (wants('kubelet')) await stockKubelet(checks, port + 800, kubectl);
  if (wants('plugins')) await plugins(checks, port + 300);
  if (wants('kubectl-rights')) await kubectlRights(checks, port + 1100, kubectl);
  if (wants('encryption')) {
    await encryption(checks, 'pilothouse', port);
    await encryption(checks, 'etcd', port + 100);
  }
}
