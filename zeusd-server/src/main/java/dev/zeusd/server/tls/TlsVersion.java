package dev.zeusd.server.tls;

import java.util.Arrays;

/** Versions of TLS that are not known to be broken, the oldest first. */
public enum TlsVersion {
  /** Of 2008, for old clients. */
  TLS_1_2("1.2"),
  /** Of 2018. */
  TLS_1_3("1.3");

  private final String number;

  TlsVersion(String number) {
    this.number = number;
  }

  /** {@return the version as people write it} */
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
