package dev.zeusd.client;

/** What a power is of, where a GPU and its CPU are one module (GH200, GB200). */
public enum PowerScope {
  /** The GPU alone. */
  GPU,
  /** The module that carries it, with its CPU and memory. */
  MODULE;

  String wireName() {
    return WireNames.of(this);
  }
}
