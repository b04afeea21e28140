/** One call of etcd's JSON gateway; throws with the server's text. */
export async function gatewayCall<T>(
  clientUrl: string,
  method: string,
  body: object,
  timeoutMs = 3000,
): Promise<T> {
  const response = await fetch(`${clientUrl}/v3/${method}`, {
    method: 'POST',
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const reply = (await response.json()) as T & { message?: string; error?: string };
  if (!response.ok) throw new Error(reply.message ?? reply.error ?? `HTTP status ${response.status}`);
  return reply;
}

export interface MemberStatus {
  readonly id: string;
  readonly isLeader: boolean;
  readonly term: number;
  readonly revision: number;
}

interface StatusReply {
  readonly header: { readonly member_id: string; readonly revision?: string };
  readonly leader?: string;
  readonly raftTerm?: string;
}

/** What one member says of itself; undefined when it says nothing. */
export async function memberStatus(clientUrl: string): Promise<MemberStatus | undefined> {
  try {
    const reply = await gatewayCall<StatusReply>(clientUrl, 'maintenance/status', {}, 800);
    return {
      id: reply.header.member_id,
      isLeader: reply.leader === reply.header.member_id,
      term: Number(reply.raftTerm ?? 0),
      revision: Number(reply.header.revision ?? 0),
    };
  } catch {
    return undefined;
  }
}
