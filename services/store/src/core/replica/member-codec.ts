import { encodeUtf8 } from '@pilothouse/base';
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

export function encodeMembers(members: ReadonlyMap<MemberId, MemberInfo>): Uint8Array {
  return encodeUtf8(JSON.stringify([...members.values()].map(toJson)));
}

export function decodeMembers(bytes: Uint8Array): Map<MemberId, MemberInfo> {
  const list = JSON.parse(decodeUtf8(bytes)) as MemberJson[];
  return new Map(list.map((json) => [parseId(json.id), fromJson(json)]));
}

/** The member list after `change`; unknown ids change nothing. */
export function changeMembers(members: Map<MemberId, MemberInfo>, change: MembershipChange): void {
  switch (change.kind) {
    case 'add':
      members.set(change.member.id, change.member);
      return;
    case 'remove':
      members.delete(change.id);
      return;
    case 'promote': {
      const member = members.get(change.id);
      if (member) members.set(change.id, { ...member, isLearner: false });
      return;
    }
    case 'update': {
      const member = members.get(change.member.id);
      if (member) members.set(member.id, { ...member, ...change.member, isLearner: member.isLearner });
    }
  }
}
