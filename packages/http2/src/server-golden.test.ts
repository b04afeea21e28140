import path from 'node:path';
import { test } from 'node:test';
import { goldenFiles, runGolden, type GoldenCommand } from '@pilothouse/testkit';
import { headerBlock } from './hpack/header-block.ts';
import { preface, settingsPayload } from './protocol.ts';
import type { ServerStream } from './server-stream.ts';
import { frame, hello, requestBlock, TestServer, uint32 } from './simulation/test-peer.ts';

const head = headerBlock([[':status', '200']]);
const trailers = headerBlock([['grpc-status', '0']]);

/** One dialogue with a server; see testdata/. */
class Dialogue {
  #server = new TestServer();

  run(command: GoldenCommand): string {
    const lines = this.#step(command);
    return lines.join('\n');
  }

  #step({ verb, args, options }: GoldenCommand): string[] {
    const id = Number(args[0] ?? 0);
    const option = (name: string, otherwise = 0): number => Number(options.get(name) ?? otherwise);
    const server = this.#server;
    const flags = option('flags');
    switch (verb) {
      case 'open':
        this.#server = new TestServer(
          Object.fromEntries([...options].map(([name, value]) => [name, Number(value)])),
        );
        return args[0] === 'bare' ? this.#server.report() : this.#server.receive(hello);
      case 'preface':
        return server.receive(preface);
      case 'settings':
        return server.receive(
          frame(
            4,
            flags,
            0,
            settingsPayload(
              [...options]
                .filter(([name]) => /^\d+$/.test(name))
                .map(([name, value]) => [Number(name), Number(value)]),
            ),
          ),
        );
      case 'headers': {
        const more: Record<string, string | undefined> = {};
        for (const [name, value] of options) {
          if (['flags', 'padding', 'cut', 'end'].includes(name)) continue;
          more[name] = value === '-' ? undefined : value;
        }
        const block = options.has('raw')
          ? Buffer.from(options.get('raw') as string, 'hex')
          : requestBlock(more);
        const end = options.get('end') === 'no' ? 0 : 1;
        if (!options.has('cut')) return server.receive(frame(1, flags || 4 | end, id, block));
        const cut = option('cut');
        return server.receive(
          frame(1, end, id, block.subarray(0, cut)),
          frame(9, 4, id, block.subarray(cut)),
        );
      }
      case 'trailers':
        return server.receive(frame(1, flags || 5, id, headerBlock([[args[1] ?? 'x', 'y']])));
      case 'data':
        return server.receive(frame(0, flags || option('end'), id, Buffer.alloc(option('bytes'))));
      case 'frame':
        return server.receive(frame(option('type'), flags, id, Buffer.from(options.get('hex') ?? '', 'hex')));
      case 'reset':
        return server.receive(frame(3, 0, id, uint32(option('code', 8))));
      case 'window':
        return server.receive(frame(8, 0, id, uint32(option('bytes'))));
      case 'respond':
        return this.#answer(id, (stream) => stream.respond(head, options.has('last')));
      case 'write':
        return this.#answer(id, (stream) => {
          if (!stream.write(Buffer.alloc(option('bytes')))) server.events.push(`full ${id}`);
        });
      case 'end':
        return this.#answer(id, (stream) => stream.end(options.has('trailers') ? trailers : undefined));
      case 'answer':
        return this.#answer(id, (stream) => stream.answer(head, Buffer.alloc(option('bytes')), trailers));
      case 'give-up':
        return this.#answer(id, (stream) => stream.reset(2));
      case 'pause':
        return this.#answer(id, (stream) => stream.pause());
      case 'resume':
        return this.#answer(id, (stream) => stream.resume());
      case 'ping':
        server.connection.ping(() => server.events.push('alive'));
        return server.report();
      case 'congested':
        server.connection.setCongested(args[0] === 'yes');
        return server.report();
      case 'wait':
        server.nowMs += id;
        server.connection.tick();
        return server.report();
      case 'shutdown':
        server.connection.shutdown();
        return server.report();
      default:
        throw new Error(`Unknown command ${verb}`);
    }
  }

  #answer(id: number, act: (stream: ServerStream) => void): string[] {
    act(this.#server.streams.get(id) as ServerStream);
    return this.#server.report();
  }
}

for (const file of goldenFiles(path.join(import.meta.dirname, '../testdata'))) {
  test(`dialogue ${path.basename(file)}`, () => {
    const dialogue = new Dialogue();
    runGolden(file, (command) => dialogue.run(command));
  });
}
