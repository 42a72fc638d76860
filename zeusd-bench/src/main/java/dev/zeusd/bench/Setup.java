package dev.zeusd.bench;

import java.time.Duration;

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
  /** The same with 8 GPUs, and every driver call takes as long as those of real drivers may. */
  SLOW_READS,
  /** A new process for every turn. */
  NEW_PROCESS;

  /** The API groups to enable. */
  String groups() {
    return this == WRITES ? "gpu-read,gpu-control" : "gpu-read";
  }

  /** The fake GPUs' power, as {@link FakeDriver} names it. */
  String power() {
    return this == STREAMS || this == SLOW_READS ? "counting" : "constant";
  }

  int gpus() {
    return this == SLOW_READS ? 8 : 4;
  }

  /** How long a driver call takes. */
  Duration callTime() {
    return this == SLOW_READS ? Duration.ofNanos(300_000) : Duration.ZERO;
  }

  boolean isTcp() {
    return this == TCP;
  }

  boolean hasAuth() {
    return this == AUTH;
  }
}
