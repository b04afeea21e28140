/** Reason with which a watch with a negative start revision is refused. */
export const compactedCancelReason = 'etcdserver: mvcc: required revision has been compacted';
