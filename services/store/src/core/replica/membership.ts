import { encodeUtf8 } from '@pilothouse/base';
import type { SingleChange } from '@pilothouse/raft';
import type { MemberId, MemberInfo, MembershipChange } from '../replication.ts';

interface MemberJson {
  readonly id: string;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

const toJson = (member: MemberInfo): MemberJson => ({
  id: member.id.toString(16),
  name: member.name,
  peerUrls: member.peerUrls,
  clientUrls: member.clientUrls,
  isLearner: member.isLearner,
});
const parseId = (text: string): MemberId => BigInt(`0x${text}`) as MemberId;
const fromJson = (json: MemberJson): MemberInfo => ({ ...json, id: parseId(json.id) });

/** UTF-8 back to text; the input is what {@link encodeUtf8} made. */
function decodeUtf8(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const first = bytes[at++] as number;
    const following = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let point = following === 0 ? first : first & (0x3f >> following);
    for (let count = 0; count < following; count++) point = (point << 6) | ((bytes[at++] as number) & 0x3f);
    text += String.fromCodePoint(point);
  }
  return text;
}

/** Rare and small, so JSON: readable in a dump of the log. */
export function encodeMembershipChange(change: MembershipChange): Uint8Array {
  const json =
    change.kind === 'add' || change.kind === 'update'
      ? { kind: change.kind, member: toJson(change.member) }
      : { kind: change.kind, id: change.id.toString(16) };
  return encodeUtf8(JSON.stringify(json));
}

export function decodeMembershipChange(bytes: Uint8Array): MembershipChange {
  const json = JSON.parse(decodeUtf8(bytes)) as
    { kind: 'add' | 'update'; member: MemberJson } | { kind: 'remove' | 'promote'; id: string };
  return 'member' in json
    ? { kind: json.kind, member: fromJson(json.member) }
    : { kind: json.kind, id: parseId(json.id) };
}

/** The member list as the log has it, and who was removed: their ids never come back. */
export class Membership {
  readonly members: Map<MemberId, MemberInfo>;
  readonly removed: Set<MemberId>;

  constructor(members: Iterable<MemberInfo> = [], removed: Iterable<MemberId> = []) {
    this.members = new Map([...members].map((member) => [member.id, member]));
    this.removed = new Set(removed);
  }

  /** Unknown ids change nothing. */
  apply(change: MembershipChange): void {
    switch (change.kind) {
      case 'add':
        this.members.set(change.member.id, change.member);
        this.removed.delete(change.member.id);
        return;
      case 'remove':
        this.members.delete(change.id);
        this.removed.add(change.id);
        return;
      case 'promote': {
        const member = this.members.get(change.id);
        if (member) this.members.set(change.id, { ...member, isLearner: false });
        return;
      }
      case 'update': {
        const member = this.members.get(change.member.id);
        if (member) this.members.set(member.id, { ...member, ...change.member, isLearner: member.isLearner });
      }
    }
  }

  encode(): Uint8Array {
    const members = [...this.members.values()].map(toJson);
    return encodeUtf8(JSON.stringify({ members, removed: [...this.removed].map((id) => id.toString(16)) }));
  }

  static decode(bytes: Uint8Array): Membership {
    const json = JSON.parse(decodeUtf8(bytes)) as { members: MemberJson[]; removed: string[] };
    return new Membership(json.members.map(fromJson), json.removed.map(parseId));
  }
}

/** What consensus is asked for; an update of a member's URLs is none of its business. */
export function toSingleChange(change: Exclude<MembershipChange, { kind: 'update' }>): SingleChange {
  switch (change.kind) {
    case 'add':
      return { kind: change.member.isLearner ? 'addLearner' : 'addVoter', id: change.member.id };
    case 'remove':
      return { kind: 'remove', id: change.id };
    case 'promote':
      return { kind: 'addVoter', id: change.id };
  }
}
