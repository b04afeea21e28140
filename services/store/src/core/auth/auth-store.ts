import { authpb, decodeMessage, encodeMessage, type etcdserverpb } from '@pilothouse/proto';
import { encodeUtf8 } from '@pilothouse/base';
import type { Backend } from '../backend.ts';
import { StoreError } from '../errors.ts';
import { keyRange, keyText, type KeyRange } from '../key-text.ts';
import { covers } from './range-cover.ts';

const enabledRecord = 'auth/meta/authEnabled';
const revisionRecord = 'auth/meta/authRevision';
const userPrefix = 'auth/user/';
const rolePrefix = 'auth/role/';
const root = 'root';

/** Who makes a request, and the revision of the permissions on which it was admitted. */
export interface AuthInfo {
  readonly username: string;
  readonly revision: number;
}

interface User {
  readonly name: string;
  /** bcrypt hash; empty for users that cannot log in with a password. */
  readonly passwordHash: string;
  readonly roles: readonly string[];
  readonly noPassword: boolean;
}

type Permission = authpb.Permission;
const { READ, WRITE, READWRITE } = authpb.Permission_Type;

/** Users, roles and what they may do: replicated state. Passwords arrive here as hashes only. */
export class AuthStore {
  readonly #backend: Backend;
  #isEnabled = false;
  #revision = 1;
  #users = new Map<string, User>();
  #roles = new Map<string, readonly Permission[]>();
  /** Token → user; every member learns tokens through the log, and loses them on restart. */
  readonly #tokens = new Map<string, { readonly username: string; usedAtMs: number }>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  load(): void {
    this.#users = new Map();
    this.#roles = new Map();
    this.#isEnabled = this.#backend.readRecord(enabledRecord)?.[0] === 1;
    const revision = this.#backend.readRecord(revisionRecord);
    this.#revision =
      revision === undefined ? 1 : Number(new DataView(revision.buffer, revision.byteOffset).getBigUint64(0));
    for (const [, bytes] of this.#backend.scanRecords(userPrefix)) {
      const user = decodeMessage(authpb.User, bytes);
      const name = text(user.name);
      this.#users.set(name, {
        name,
        passwordHash: text(user.password),
        roles: user.roles,
        noPassword: user.options?.noPassword ?? false,
      });
    }
    for (const [, bytes] of this.#backend.scanRecords(rolePrefix)) {
      const role = decodeMessage(authpb.Role, bytes);
      this.#roles.set(text(role.name), role.keyPermission);
    }
  }

  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  get revision(): number {
    return this.#revision;
  }

  #bump(): void {
    this.#revision++;
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(this.#revision));
    this.#backend.writeRecord(revisionRecord, bytes);
  }

  // ---- Questions ----

  passwordHashOf(name: string): string {
    if (!this.#isEnabled) throw new StoreError('authNotEnabled');
    const user = this.#users.get(name);
    if (user?.noPassword) throw new StoreError('passwordForNoPasswordUser');
    if (user === undefined || user.passwordHash === '') throw new StoreError('authFailed');
    return user.passwordHash;
  }

  userNames(): string[] {
    return [...this.#users.keys()].sort();
  }

  roleNames(): string[] {
    return [...this.#roles.keys()].sort();
  }

  rolesOf(name: string): readonly string[] {
    const user = this.#users.get(name);
    if (user === undefined) throw new StoreError('userNotFound');
    return user.roles;
  }

  permissionsOf(role: string): readonly Permission[] {
    // The root role may do everything and need not be defined.
    const permissions = this.#roles.get(role);
    if (permissions === undefined) throw new StoreError('roleNotFound');
    return permissions;
  }

  hasRole(username: string, role: string): boolean {
    return this.#users.get(username)?.roles.includes(role) ?? false;
  }

  #require(info: AuthInfo | undefined): User {
    if (info === undefined || info.username === '') throw new StoreError('userEmpty');
    if (info.revision < this.#revision) throw new StoreError('authOldRevision');
    const user = this.#users.get(info.username);
    if (user === undefined) throw new StoreError('permissionDenied');
    return user;
  }

  /** Throws unless authentication is off or the caller has the root role. */
  checkAdmin(info: AuthInfo | undefined): void {
    if (!this.#isEnabled) return;
    if (info === undefined || info.username === '') throw new StoreError('userEmpty');
    if (this.#users.get(info.username)?.roles.includes(root) !== true)
      throw new StoreError('permissionDenied');
  }

  /** Throws unless authentication is off or somebody is logged in. */
  checkLoggedIn(info: AuthInfo | undefined): void {
    if (this.#isEnabled) this.#require(info);
  }

  checkRange(
    info: AuthInfo | undefined,
    key: Uint8Array,
    rangeEnd: Uint8Array,
    access: 'read' | 'write',
  ): void {
    if (!this.#isEnabled) return;
    const user = this.#require(info);
    if (user.roles.includes(root)) return;
    const ranges: KeyRange[] = [];
    for (const role of user.roles) {
      for (const permission of this.#roles.get(role) ?? []) {
        if (permission.permType === READWRITE || permission.permType === (access === 'read' ? READ : WRITE)) {
          ranges.push(keyRange(permission.key, permission.rangeEnd));
        }
      }
    }
    if (!covers(ranges, keyRange(key, rangeEnd))) throw new StoreError('permissionDenied');
  }

  checkPut(
    info: AuthInfo | undefined,
    request: etcdserverpb.PutRequest,
    leaseKeys: readonly Uint8Array[],
  ): void {
    if (!this.#isEnabled) return;
    this.checkRange(info, request.key, none, 'write');
    if (request.prevKv) this.checkRange(info, request.key, none, 'read');
    this.checkKeys(info, leaseKeys, 'write');
  }

  checkKeys(info: AuthInfo | undefined, keys: readonly Uint8Array[], access: 'read' | 'write'): void {
    if (!this.#isEnabled) return;
    for (const key of keys) this.checkRange(info, key, none, access);
  }

  checkDelete(info: AuthInfo | undefined, request: etcdserverpb.DeleteRangeRequest): void {
    this.checkRange(info, request.key, request.rangeEnd, 'write');
    if (request.prevKv) this.checkRange(info, request.key, request.rangeEnd, 'read');
  }

  /** Both branches must be allowed, whichever is taken. */
  checkTxn(
    info: AuthInfo | undefined,
    request: etcdserverpb.TxnRequest,
    keysOfLease: (id: bigint) => readonly Uint8Array[],
  ): void {
    if (!this.#isEnabled) return;
    this.#require(info);
    for (const { key, rangeEnd } of request.compare) this.checkRange(info, key, rangeEnd, 'read');
    for (const op of [...request.success, ...request.failure]) {
      if (op.requestRange) this.checkRange(info, op.requestRange.key, op.requestRange.rangeEnd, 'read');
      else if (op.requestPut) this.checkPut(info, op.requestPut, keysOfLease(op.requestPut.lease));
      else if (op.requestDeleteRange) this.checkDelete(info, op.requestDeleteRange);
      else if (op.requestTxn) this.checkTxn(info, op.requestTxn, keysOfLease);
    }
  }

  // ---- Tokens ----

  assignToken(token: string, username: string, nowMs: number): void {
    this.#tokens.set(token, { username, usedAtMs: nowMs });
  }

  /** The token's user; using it prolongs it. Throws `invalidAuthToken`. */
  userOfToken(token: string, nowMs: number, ttlMs: number): string {
    const entry = this.#tokens.get(token);
    if (entry === undefined) throw new StoreError('invalidAuthToken');
    if (entry.usedAtMs + ttlMs < nowMs) {
      this.#tokens.delete(token);
      throw new StoreError('invalidAuthToken');
    }
    entry.usedAtMs = nowMs;
    return entry.username;
  }

  #dropTokens(username: string): void {
    for (const [token, entry] of this.#tokens) if (entry.username === username) this.#tokens.delete(token);
  }

  // ---- Changes, replicated ----

  enable(): void {
    if (this.#isEnabled) return;
    const user = this.#users.get(root);
    if (user === undefined) throw new StoreError('rootUserNotExist');
    if (!user.roles.includes(root)) throw new StoreError('rootRoleNotExist');
    this.#isEnabled = true;
    this.#backend.writeRecord(enabledRecord, Uint8Array.of(1));
  }

  disable(): void {
    if (!this.#isEnabled) return;
    this.#isEnabled = false;
    this.#backend.writeRecord(enabledRecord, Uint8Array.of(0));
    this.#tokens.clear();
    this.#bump();
  }

  addUser(request: etcdserverpb.AuthUserAddRequest): void {
    if (request.name === '') throw new StoreError('userEmpty');
    if (this.#users.has(request.name)) throw new StoreError('userAlreadyExist');
    this.#putUser({
      name: request.name,
      passwordHash: request.hashedPassword,
      roles: [],
      noPassword: request.options?.noPassword ?? false,
    });
  }

  deleteUser(name: string): void {
    if (this.#isEnabled && name === root) throw new StoreError('invalidAuthMgmt');
    if (!this.#users.delete(name)) throw new StoreError('userNotFound');
    this.#backend.deleteRecord(userPrefix + hex(name));
    this.#dropTokens(name);
    this.#bump();
  }

  changePassword(name: string, passwordHash: string): void {
    const user = this.#users.get(name);
    if (user === undefined) throw new StoreError('userNotFound');
    this.#putUser({ ...user, passwordHash });
    this.#dropTokens(name);
  }

  grantRole(name: string, role: string): void {
    const user = this.#users.get(name);
    if (user === undefined) throw new StoreError('userNotFound');
    if (role !== root && !this.#roles.has(role)) throw new StoreError('roleNotFound');
    if (user.roles.includes(role)) return;
    this.#putUser({ ...user, roles: [...user.roles, role].sort() });
  }

  revokeRole(name: string, role: string): void {
    if (this.#isEnabled && name === root && role === root) throw new StoreError('invalidAuthMgmt');
    const user = this.#users.get(name);
    if (user === undefined) throw new StoreError('userNotFound');
    if (!user.roles.includes(role)) throw new StoreError('roleNotGranted');
    this.#putUser({ ...user, roles: user.roles.filter((other) => other !== role) });
  }

  addRole(name: string): void {
    if (name === '') throw new StoreError('roleEmpty');
    if (this.#roles.has(name)) throw new StoreError('roleAlreadyExist');
    this.#putRole(name, []);
  }

  deleteRole(name: string): void {
    if (this.#isEnabled && name === root) throw new StoreError('invalidAuthMgmt');
    if (!this.#roles.delete(name)) throw new StoreError('roleNotFound');
    this.#backend.deleteRecord(rolePrefix + hex(name));
    for (const user of [...this.#users.values()]) {
      if (user.roles.includes(name))
        this.#writeUser({ ...user, roles: user.roles.filter((other) => other !== name) });
    }
    this.#bump();
  }

  grantPermission(name: string, permission: Permission | undefined): void {
    if (permission === undefined) throw new StoreError('permissionNotGiven');
    const permissions = this.#roles.get(name);
    if (permissions === undefined) throw new StoreError('roleNotFound');
    const kept = permissions.filter((other) => !sameRange(other, permission));
    const granted = {
      permType: permission.permType,
      key: permission.key.slice(),
      rangeEnd: permission.rangeEnd.slice(),
    };
    this.#putRole(
      name,
      [...kept, granted].sort((a, b) => (keyText(a.key) < keyText(b.key) ? -1 : 1)),
    );
  }

  revokePermission(request: etcdserverpb.AuthRoleRevokePermissionRequest): void {
    const permissions = this.#roles.get(request.role);
    if (permissions === undefined) throw new StoreError('roleNotFound');
    const kept = permissions.filter((other) => !sameRange(other, request));
    if (kept.length === permissions.length) throw new StoreError('permissionNotGranted');
    this.#putRole(request.role, kept);
  }

  #putUser(user: User): void {
    this.#writeUser(user);
    this.#bump();
  }

  #writeUser(user: User): void {
    this.#users.set(user.name, user);
    this.#backend.writeRecord(
      userPrefix + hex(user.name),
      encodeMessage(authpb.User, {
        name: encodeUtf8(user.name),
        password: encodeUtf8(user.passwordHash),
        roles: user.roles,
        options: { noPassword: user.noPassword },
      }),
    );
  }

  #putRole(name: string, permissions: readonly Permission[]): void {
    this.#roles.set(name, permissions);
    this.#backend.writeRecord(
      rolePrefix + hex(name),
      encodeMessage(authpb.Role, { name: encodeUtf8(name), keyPermission: permissions }),
    );
    this.#bump();
  }
}

const none = new Uint8Array(0);

function sameRange(
  a: { key: Uint8Array; rangeEnd: Uint8Array },
  b: { key: Uint8Array; rangeEnd: Uint8Array },
): boolean {
  return keyText(a.key) === keyText(b.key) && keyText(a.rangeEnd) === keyText(b.rangeEnd);
}

const hex = (name: string): string =>
  [...encodeUtf8(name)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** UTF-8 of names and hashes that this store wrote. */
function text(bytes: Uint8Array): string {
  return decodeURIComponent([...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''));
}
