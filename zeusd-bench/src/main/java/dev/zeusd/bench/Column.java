package dev.zeusd.bench;

/** Who is measured: our daemon, the one it is compared with, the echo server. */
enum Column {
  A("A"),
  B("B"),
  FLOOR("floor");

  private final String title;

  Column(String title) {
    this.title = title;
  }

  @Override
  public String toString() {
    return title;
  }
}
