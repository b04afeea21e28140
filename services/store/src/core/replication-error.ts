import { CodedError } from '@pilothouse/base';
import type { ReplicationErrorCode } from './replication.ts';

/** Why a proposal, a read or a change did not go through. `code` is a {@link ReplicationErrorCode}. */
export class ReplicationError extends CodedError {
  declare readonly code: ReplicationErrorCode;
  constructor(code: ReplicationErrorCode, message: string) {
    super(code, message);
  }
}
