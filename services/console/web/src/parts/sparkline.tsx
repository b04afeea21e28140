/** A small line of values over time, the newest at the right. */
export function Sparkline(props: {
  readonly values: readonly number[];
  /** How many values the width is for. */
  readonly length: number;
  readonly label: string;
}) {
  const [width, height] = [240, 36];
  const most = Math.max(1, ...props.values);
  const step = width / (props.length - 1);
  const start = props.length - props.values.length;
  const points = props.values.map(
    (value, index) =>
      `${((start + index) * step).toFixed(1)},${(height - 2 - (value / most) * (height - 6)).toFixed(1)}`,
  );
  return (
    <svg
      class="sparkline"
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={`${props.label}: now ${(props.values.at(-1) ?? 0).toFixed(1)}, at most ${most.toFixed(1)}`}
    >
      <line x1="0" x2={width} y1={height - 1.5} y2={height - 1.5} />
      <polyline points={points.join(' ')} />
    </svg>
  );
}
