package dev.zeusd.server;

/** Endpoints that are enabled together; also the scopes of tokens. */
public enum ApiGroup {
  /** What changes GPUs, leases included. */
  GPU_CONTROL("gpu-control"),
  /** What reads GPUs. */
  GPU_READ("gpu-read"),
  /** What reads CPUs. */
  CPU_READ("cpu-read");

  private final String wireName;

  ApiGroup(String wireName) {
    this.wireName = wireName;
  }

  /** {@return the name on the command line, in {@code /discover} and in tokens} */
  public String wireName() {
    return wireName;
  }
}
