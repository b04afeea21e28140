export type { FieldInfo, FieldInput, MessageCodec, MessageInput, MethodInfo } from './wire.ts';
export { decodeMessage, encodeMessage, Reader, WireError, Writer } from './wire.ts';
export * as mvccpb from './generated/mvccpb.ts';
export * as authpb from './generated/authpb.ts';
export * as etcdserverpb from './generated/etcdserverpb.ts';
export * as v3lockpb from './generated/v3lockpb.ts';
export * as v3electionpb from './generated/v3electionpb.ts';
export * as healthpb from './generated/grpc-health-v1.ts';
