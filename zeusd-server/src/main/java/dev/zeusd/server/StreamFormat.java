package dev.zeusd.server;

/** The two dialects of power streams. */
public enum StreamFormat {
  /** One event for one device: what clients from Zeus 0.16 on read. */
  SAMPLE("sample"),
  /** One event for all asked devices, as {@code get_power} answers: Zeus 0.14 and 0.15. */
  SNAPSHOT("snapshot");

  private final String wireName;

  StreamFormat(String wireName) {
    this.wireName = wireName;
  }

  /** {@return the name on the command line and in {@code ?format=}} */
  public String wireName() {
    return wireName;
  }
}
