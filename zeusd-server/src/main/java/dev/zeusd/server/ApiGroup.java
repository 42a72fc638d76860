package dev.zeusd.server;

/** Endpoints that are enabled together; also the scopes of tokens. */
public enum ApiGroup {
  GPU_CONTROL("gpu-control", true),
  GPU_READ("gpu-read", false),
  CPU_READ("cpu-read", true);

  private final String wireName;
  private final boolean needsRoot;

  ApiGroup(String wireName, boolean needsRoot) {
    this.wireName = wireName;
    this.needsRoot = needsRoot;
  }

  /** The name on the command line, in {@code /discover} and in tokens. */
  public String wireName() {
    return wireName;
  }

  /** Whether the hardware behind it is open to root only. */
  public boolean needsRoot() {
    return needsRoot;
  }
}
