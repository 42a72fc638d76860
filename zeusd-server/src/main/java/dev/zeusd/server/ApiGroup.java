package dev.zeusd.server;

/** Endpoints that are enabled together; also the scopes of tokens. */
public enum ApiGroup {
  GPU_CONTROL("gpu-control"),
  GPU_READ("gpu-read"),
  CPU_READ("cpu-read");

  private final String wireName;

  ApiGroup(String wireName) {
    this.wireName = wireName;
  }

  /** The name on the command line, in {@code /discover} and in tokens. */
  public String wireName() {
    return wireName;
  }
}
