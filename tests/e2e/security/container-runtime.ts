import * as grpc from '@grpc/grpc-js';
import protobuf from 'protobufjs';

const { Writer } = protobuf;
type Fill = (writer: protobuf.Writer) => void;

const message = (fill: Fill): Buffer => {
  const writer = Writer.create();
  fill(writer);
  return Buffer.from(writer.finish());
};
const nested = (writer: protobuf.Writer, field: number, fill: Fill): void =>
  void writer.uint32((field << 3) | 2).bytes(message(fill));
const text = (writer: protobuf.Writer, field: number, value: string): void =>
  void writer.uint32((field << 3) | 2).string(value);

const empty = (): Buffer => Buffer.alloc(0);

/** What a kubelet asks before it registers its node (CRI v1, field numbers of its api.proto); a runtime without pods and images. */
const runtime: Readonly<Record<string, () => Buffer>> = {
  Version: () =>
    message((writer) => {
      text(writer, 1, '0.1.0');
      text(writer, 2, 'nothing');
      text(writer, 3, '1.0.0');
      text(writer, 4, 'v1');
    }),
  Status: () =>
    message((writer) =>
      nested(writer, 1, (status) => {
        for (const type of ['RuntimeReady', 'NetworkReady'])
          nested(status, 1, (condition) => {
            text(condition, 1, type);
            condition.uint32((2 << 3) | 0).bool(true);
          });
      }),
    ),
  RuntimeConfig: () => message((writer) => nested(writer, 1, (linux) => linux.uint32((1 << 3) | 0).int32(1))),
  UpdateRuntimeConfig: empty,
  ListPodSandbox: empty,
  ListContainers: empty,
  ListPodSandboxStats: empty,
  ListContainerStats: empty,
  ListMetricDescriptors: empty,
  ListPodSandboxMetrics: empty,
};

const images: Readonly<Record<string, () => Buffer>> = {
  ListImages: empty,
  ImageFsInfo: () =>
    message((writer) => {
      for (const field of [1, 2])
        nested(writer, field, (usage) => {
          usage.uint32((1 << 3) | 0).int64(Date.now() * 1_000_000);
          nested(usage, 2, (id) => text(id, 1, '/'));
          nested(usage, 3, (value) => value.uint32((1 << 3) | 0).uint64(1));
          nested(usage, 4, (value) => value.uint32((1 << 3) | 0).uint64(1));
        });
    }),
};

/** Serves an empty container runtime on a Unix socket, enough for a kubelet to register and to be ready. The returned function ends it. */
export async function serveContainerRuntime(socket: string): Promise<() => void> {
  const server = new grpc.Server();
  const add = (service: string, answers: Readonly<Record<string, () => Buffer>>): void => {
    const definition = Object.fromEntries(
      Object.keys(answers).map((name) => [
        name,
        {
          path: `/runtime.v1.${service}/${name}`,
          requestStream: false,
          responseStream: false,
          requestSerialize: (value: Buffer) => value,
          requestDeserialize: (value: Buffer) => value,
          responseSerialize: (value: Buffer) => value,
          responseDeserialize: (value: Buffer) => value,
        },
      ]),
    );
    server.addService(
      definition,
      Object.fromEntries(
        Object.entries(answers).map(([name, answer]) => [
          name,
          (_call: unknown, done: (error: null, value: Buffer) => void) => done(null, answer()),
        ]),
      ),
    );
  };
  add('RuntimeService', runtime);
  add('ImageService', images);
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(`unix:${socket}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    ),
  );
  return () => server.forceShutdown();
}
