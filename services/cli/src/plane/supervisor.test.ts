import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { nodeClock } from '@pilothouse/host';
import { planProcesses } from './layout.ts';
import { Supervisor } from './supervisor.ts';

// A console that `up --console` had started outlived the plane: it was in no layer of those that are stopped.
test('every component that a plane can have is stopped with it', async () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'pilothouse-supervisor-'));
  try {
    const specs = planProcesses(
      {
        dataDir: directory,
        port: 20000,
        members: 1,
        replicas: 1,
        schedulers: 1,
        controllerManagers: 1,
        nodes: 1,
        runtime: 'simulated',
        apiserverArguments: [],
        storeArguments: [],
        etcdServers: [],
        localStorage: false,
        console: true,
        redisProgram: 'redis-server',
      },
      'token',
    );
    assert.ok(specs.some((each) => each.component === 'console'));
    const supervisor = new Supervisor({
      // Whatever it is called with, it waits to be ended.
      command: () => [process.execPath, '-e', 'setInterval(() => undefined, 1000)', '--'],
      logDirectory: directory,
      clock: nodeClock,
      onChange: () => undefined,
      onExit: () => undefined,
    });
    for (const spec of specs) supervisor.start(spec);
    assert.equal(supervisor.processes().length, specs.length);
    await supervisor.stop();
    assert.deepEqual(supervisor.processes(), []);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
