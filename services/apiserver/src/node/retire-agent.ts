import type { Agent } from 'node:http';

/** Ends an agent's idle connections; those in use end with what they carry. For agents whose credentials were replaced. */
export function retireAgent(agent: Agent): void {
  for (const sockets of Object.values(agent.freeSockets))
    for (const socket of sockets ?? []) socket.destroy();
  // Not kept when it becomes free.
  agent.maxFreeSockets = 0;
}
