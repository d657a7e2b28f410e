/** A measurement with its confidence interval, in the metric's own unit. */
export interface Measured {
  value: number;
  low: number;
  high: number;
}

/** A trained method against one control: the same method with its training taken away. */
export interface ControlResult {
  /** What the control is, for example "shuffled memory". */
  name: string;
  /** What was measured, for example "F1". */
  metric: string;
  /** Whether more is better. */
  higher_is_better: boolean;
  /** The method. */
  method: Measured;
  /** Its control, on the same questions. */
  control: Measured;
  /** Method minus control, question by question. */
  difference: Measured;
}

/**
 * Whether the method beats the control: the whole interval of the difference lies on the better
 * side of zero. Two overlapping intervals say nothing about that, so they are not looked at.
 */
export function beats({ difference, higher_is_better }: ControlResult): boolean {
  return higher_is_better ? difference.low > 0 : difference.high < 0;
}
