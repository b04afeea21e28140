import bcrypt from 'bcryptjs';
import { etcdserverpb, type MessageInput } from '@pilothouse/proto';
import { StoreError, type Command } from '../../core/index.ts';
import type { Call, GrpcServer } from './grpc-server.ts';
import type { StoreService } from './store-service.ts';

/** Registers etcdserverpb.Auth. Passwords are hashed here, before they reach the log. */
export function registerAuth(server: GrpcServer, service: StoreService, bcryptCost: number): void {
  const { machine, options } = service;
  const { AuthService } = etcdserverpb;
  const { auth } = machine;

  const change = async (call: Call, command: MessageInput<Command>): Promise<{ header: object }> => {
    service.checkNotLearner();
    const info = service.authInfo(call);
    auth.checkAdmin(info);
    await service.propose(command, info);
    return { header: service.header() };
  };
  const hash = async (password: string): Promise<string> =>
    password === '' ? '' : bcrypt.hash(password, bcryptCost);

  server.unary(AuthService.AuthEnable, async (_request, call) => {
    const reply = await change(call, { authEnable: {} });
    options.logger.info('enabled authentication');
    return reply;
  });
  server.unary(AuthService.AuthDisable, async (_request, call) => {
    const reply = await change(call, { authDisable: {} });
    options.logger.info('disabled authentication');
    return reply;
  });
  server.unary(AuthService.AuthStatus, async (_request, call) => {
    await service.readBarrier();
    auth.checkAdmin(service.authInfo(call));
    return { header: service.header(), enabled: auth.isEnabled, authRevision: auth.revision };
  });

  server.unary(AuthService.Authenticate, async (request) => {
    service.checkNotLearner();
    await service.readBarrier();
    const { revision } = auth;
    const stored = auth.passwordHashOf(request.name);
    if (!(await bcrypt.compare(request.password, stored))) throw new StoreError('authFailed');
    // The password may have changed while it was compared.
    if (auth.revision !== revision) throw new StoreError('authOldRevision');
    return { header: service.header(), token: await options.tokens.issue(request.name, service) };
  });

  server.unary(AuthService.UserAdd, async (request, call) => {
    if (request.name === '') throw new StoreError('userEmpty');
    auth.checkAdmin(service.authInfo(call));
    const hashedPassword = request.options?.noPassword
      ? ''
      : request.hashedPassword || (await hash(request.password));
    return change(call, { authUserAdd: { name: request.name, options: request.options, hashedPassword } });
  });
  server.unary(AuthService.UserGet, async (request, call) => {
    await service.readBarrier();
    const info = service.authInfo(call);
    if (info?.username !== request.name) auth.checkAdmin(info);
    return { header: service.header(), roles: auth.rolesOf(request.name) };
  });
  server.unary(AuthService.UserList, async (_request, call) => {
    await service.readBarrier();
    auth.checkAdmin(service.authInfo(call));
    return { header: service.header(), users: auth.userNames() };
  });
  server.unary(AuthService.UserDelete, (request, call) => change(call, { authUserDelete: request }));
  server.unary(AuthService.UserChangePassword, async (request, call) => {
    auth.checkAdmin(service.authInfo(call));
    const hashedPassword = request.hashedPassword || (await hash(request.password));
    return change(call, { authUserChangePassword: { name: request.name, hashedPassword } });
  });
  server.unary(AuthService.UserGrantRole, (request, call) => change(call, { authUserGrantRole: request }));
  server.unary(AuthService.UserRevokeRole, (request, call) => change(call, { authUserRevokeRole: request }));

  server.unary(AuthService.RoleAdd, (request, call) => change(call, { authRoleAdd: request }));
  server.unary(AuthService.RoleGet, async (request, call) => {
    await service.readBarrier();
    const info = service.authInfo(call);
    if (info === undefined || !auth.hasRole(info.username, request.role)) auth.checkAdmin(info);
    return { header: service.header(), perm: auth.permissionsOf(request.role) };
  });
  server.unary(AuthService.RoleList, async (_request, call) => {
    await service.readBarrier();
    auth.checkAdmin(service.authInfo(call));
    return { header: service.header(), roles: auth.roleNames() };
  });
  server.unary(AuthService.RoleDelete, (request, call) => change(call, { authRoleDelete: request }));
  server.unary(AuthService.RoleGrantPermission, (request, call) =>
    change(call, { authRoleGrantPermission: request }),
  );
  server.unary(AuthService.RoleRevokePermission, (request, call) =>
    change(call, { authRoleRevokePermission: request }),
  );
}
