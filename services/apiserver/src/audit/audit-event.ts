import type { UserInfo } from '../authentication/interface.ts';
import type { AuditLevel, AuditStage } from './policy.ts';

/** An audit.k8s.io/v1 Event in the order of its JSON. Bodies are JSON texts. */
export interface AuditEvent {
  readonly level: AuditLevel;
  readonly auditID: string;
  readonly stage: AuditStage;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: UserInfo;
  readonly impersonatedUser: UserInfo | undefined;
  /** The verb that allowed it when it was the constrained kind. */
  readonly impersonationConstraint: string | undefined;
  readonly sourceIPs: readonly string[];
  readonly userAgent: string;
  readonly objectRef: Readonly<Record<string, string>> | undefined;
  readonly responseStatus: Readonly<Record<string, unknown>> | undefined;
  readonly requestObject: string | undefined;
  readonly responseObject: string | undefined;
  readonly requestReceivedTimestamp: string;
  readonly stageTimestamp: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** One line of JSON without its end; `limit` bytes at most: bodies are left out of larger ones, and undefined is given when even that is too much. */
export function auditJson(event: AuditEvent, limit: number): string | undefined {
  const whole = jsonOf(event);
  if (limit <= 0 || Buffer.byteLength(whole) <= limit) return whole;
  const annotations = { ...event.annotations, 'audit.k8s.io/truncated': 'true' };
  const short = jsonOf({ ...event, requestObject: undefined, responseObject: undefined, annotations });
  return Buffer.byteLength(short) <= limit ? short : undefined;
}

function jsonOf(event: AuditEvent): string {
  let text = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"${event.level}","auditID":${quote(event.auditID)},"stage":"${event.stage}","requestURI":${quote(event.requestURI)},"verb":${quote(event.verb)},"user":${userJson(event.user)}`;
  if (event.impersonatedUser) text += `,"impersonatedUser":${userJson(event.impersonatedUser)}`;
  if (event.impersonationConstraint)
    text += `,"authenticationMetadata":{"impersonationConstraint":${quote(event.impersonationConstraint)}}`;
  if (event.sourceIPs.length > 0) text += `,"sourceIPs":${JSON.stringify(event.sourceIPs)}`;
  if (event.userAgent !== '') text += `,"userAgent":${quote(event.userAgent)}`;
  if (event.objectRef) text += `,"objectRef":${JSON.stringify(event.objectRef)}`;
  if (event.responseStatus) text += `,"responseStatus":${JSON.stringify(event.responseStatus)}`;
  if (event.requestObject !== undefined) text += `,"requestObject":${event.requestObject}`;
  if (event.responseObject !== undefined) text += `,"responseObject":${event.responseObject}`;
  text += `,"requestReceivedTimestamp":"${event.requestReceivedTimestamp}","stageTimestamp":"${event.stageTimestamp}"`;
  for (const _ in event.annotations) {
    text += `,"annotations":${JSON.stringify(event.annotations)}`;
    break;
  }
  return `${text}}`;
}

const quote = (text: string): string => JSON.stringify(text);

/** Members of one user are the same object for all requests of a token or a connection. */
const users = new WeakMap<UserInfo, string>();

function userJson(user: UserInfo): string {
  let text = users.get(user);
  if (text === undefined) {
    const { name, uid, groups, extra } = user;
    text = JSON.stringify({
      ...(name === '' ? {} : { username: name }),
      ...(uid === undefined || uid === '' ? {} : { uid }),
      ...(groups.length === 0 ? {} : { groups }),
      ...(extra === undefined || Object.keys(extra).length === 0 ? {} : { extra }),
    });
    users.set(user, text);
  }
  return text;
}

/** The one-line form of --audit-log-format=legacy. */
export function auditLegacy(event: AuditEvent): string {
  const list = (items: readonly string[]): string => items.map(quote).join(',');
  const { user, impersonatedUser, objectRef, responseStatus } = event;
  const name = user.name === '' ? '<none>' : user.name;
  const groups = user.name === '' || user.groups.length === 0 ? '<none>' : list(user.groups);
  const as = impersonatedUser?.name ?? '<self>';
  const asGroups =
    impersonatedUser && impersonatedUser.groups.length > 0 ? list(impersonatedUser.groups) : '<lookup>';
  const namespace = objectRef?.['namespace'] ?? '<none>';
  const code = responseStatus === undefined ? '<deferred>' : Number(responseStatus['code'] ?? 0);
  const ip = event.sourceIPs[0] ?? '<unknown>';
  return `${event.requestReceivedTimestamp} AUDIT: id=${quote(event.auditID)} stage="${event.stage}" ip=${quote(ip)} method=${quote(event.verb)} user=${quote(name)} groups=${quote(groups)} as=${quote(as)} asgroups=${quote(asGroups)} user-agent=${quote(event.userAgent)} namespace=${quote(namespace)} uri=${quote(event.requestURI)} response="${code}"`;
}
