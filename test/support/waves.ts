/** Reproducible numbers in [-1, 1]. */
export const waves = (count: number, phase: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(phase + i * 12.9898));
