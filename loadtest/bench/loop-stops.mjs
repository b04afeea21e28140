// Loaded into a server under test (NODE_OPTIONS=--import=…): how long its event loop was taken in one go. SIGUSR2 begins anew.
// What a turn takes is told twice: the time without that in which the system let others run, and the CPU time of the main thread. On a busy machine
// the first still has waits for threads of this process that were not let run themselves.
import { readFileSync, writeFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

const file = process.env['LOOP_STOPS_FILE'];
const periodMs = 2;

/** CPU time and time of waiting for the CPU of the main thread, milliseconds. */
function mainThread() {
  const [cpu, delay] = readFileSync('/proc/self/schedstat', 'latin1').split(' ');
  return { cpu: Number(cpu) / 1e6, delay: Number(delay) / 1e6 };
}

if (isMainThread && file !== undefined) {
  let longest = { stopMs: 0, cpuMs: 0 };
  let last = { at: performance.now(), ...mainThread() };
  process.on('SIGUSR2', () => {
    longest = { stopMs: 0, cpuMs: 0 };
    writeFileSync(file, JSON.stringify(longest));
  });
  const look = () => {
    const at = performance.now();
    // Reading costs more than looking at the clock.
    if (at - last.at > 3 * periodMs) {
      const now = mainThread();
      const stopMs = at - last.at - (now.delay - last.delay);
      const cpuMs = now.cpu - last.cpu;
      if (stopMs > longest.stopMs || cpuMs > longest.cpuMs) {
        longest = { stopMs: Math.max(stopMs, longest.stopMs), cpuMs: Math.max(cpuMs, longest.cpuMs) };
        writeFileSync(file, JSON.stringify(longest));
      }
      last = { at: performance.now(), ...now };
    } else last = { at, ...mainThread() };
    setTimeout(look, periodMs).unref();
  };
  setTimeout(look, periodMs).unref();
}
