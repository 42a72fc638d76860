package dev.zeusd.bench;

/** How a daemon is started. Rows with the same setup are measured on the same processes. */
enum Setup {
  UNIX_SOCKET,
  TCP,
  /** Requests need a token. */
  AUTH,
  /** Changes are allowed, which takes root. */
  WRITES,
  /** Every reading of power differs from the one before. */
  STREAMS,
  /** A new process for every turn. */
  NEW_PROCESS;

  /** The API groups to enable. */
  String groups() {
    return this == WRITES ? "gpu-read,gpu-control" : "gpu-read";
  }

  /** The fake GPUs' power, as {@link FakeDriver} names it. */
  String power() {
    return this == STREAMS ? "counting" : "constant";
  }

  boolean isTcp() {
    return this == TCP;
  }

  boolean hasAuth() {
    return this == AUTH;
  }
}
