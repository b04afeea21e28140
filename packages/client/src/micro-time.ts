/** RFC 3339 with microseconds (MicroTime) of a wall-clock reading in milliseconds. */
export function microTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace('Z', '000Z');
}

/** RFC 3339 with whole seconds (Time). */
export function secondTime(nowMs: number): string {
  return new Date(nowMs).toISOString().replace(/\.\d+Z$/, 'Z');
}
