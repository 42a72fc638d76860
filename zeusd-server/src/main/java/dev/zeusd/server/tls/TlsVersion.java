package dev.zeusd.server.tls;

import java.util.Arrays;

/** Versions of TLS that are not known to be broken, the oldest first. */
public enum TlsVersion {
  TLS_1_2("1.2"),
  TLS_1_3("1.3");

  private final String number;

  TlsVersion(String number) {
    this.number = number;
  }

  /** As people write it. */
  public String number() {
    return number;
  }

  /** The JDK's names of this one and all newer ones. */
  String[] upward() {
    return Arrays.stream(values())
        .filter(version -> version.compareTo(this) >= 0)
        .map(version -> "TLSv" + version.number)
        .toArray(String[]::new);
  }
}
