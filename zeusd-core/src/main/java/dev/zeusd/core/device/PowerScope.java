package dev.zeusd.core.device;

/** What the power of a GPU covers. */
public enum PowerScope {
  /** The GPU alone. */
  GPU,
  /** The module that carries it, with its CPU and memory: where the GPU's own is not told. */
  MODULE
}
