export type { SpdyFrame } from './spdy/frame.ts';
export { encodeFrame, FrameDecoder, SpdyError } from './spdy/frame.ts';
export type { SpdyConnectionOptions } from './spdy/connection.ts';
export { SpdyConnection } from './spdy/connection.ts';
export type { SpdyHeaders } from './spdy/header-block.ts';
export { SpdyStream } from './spdy/stream.ts';
export { acceptSpdy, isSpdy, protocolHeader } from './spdy/upgrade.ts';
export { acceptWebSocket, isWebSocket, offeredProtocols } from './websocket/accept.ts';
export { webSocketBytes } from './websocket/byte-stream.ts';
export { acceptRemoteCommand } from './remote-command/accept.ts';
export { remoteCommandProtocols } from './remote-command/over-websocket.ts';
export { spdyProtocols } from './remote-command/over-spdy.ts';
export { relayOverSpdy } from './remote-command/relay.ts';
export type {
  RemoteOutcome,
  RemoteStreams,
  StreamOptions,
  TerminalSize,
} from './remote-command/remote-streams.ts';
export type { ForwardTarget } from './port-forward/over-spdy.ts';
export { acceptPortForwardSpdy, joined, portForwardProtocol } from './port-forward/over-spdy.ts';
export { acceptPortForwardWebSocket, tunnelProtocol } from './port-forward/over-websocket.ts';
