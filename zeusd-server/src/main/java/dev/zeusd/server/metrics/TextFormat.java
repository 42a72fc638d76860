package dev.zeusd.server.metrics;

import java.util.List;
import java.util.Locale;

/** The two forms of text that Prometheus reads. */
public enum TextFormat {
  /** Prometheus' own, which everything reads. */
  PROMETHEUS("text/plain; version=0.0.4; charset=utf-8"),
  /** OpenMetrics 1.0. */
  OPEN_METRICS("application/openmetrics-text; version=1.0.0; charset=utf-8");

  private final String contentType;

  TextFormat(String contentType) {
    this.contentType = contentType;
  }

  /** What the answer says that it is. */
  public String contentType() {
    return contentType;
  }

  /**
   * The one that a client likes better, by the {@code Accept} headers of its request. Whoever
   * accepts neither, or makes no sense, gets Prometheus' own.
   */
  public static TextFormat of(List<String> acceptHeaders) {
    double openMetrics = 0;
    double plain = 0;
    for (String header : acceptHeaders) {
      for (String range : header.toLowerCase(Locale.ROOT).split(",")) {
        String[] parts = range.split(";", -1);
        switch (parts[0].strip()) {
          case "application/openmetrics-text" ->
              openMetrics = Math.max(openMetrics, quality(parts));
          case "text/plain" -> plain = Math.max(plain, quality(parts));
          default -> {
            // Neither, or anything.
          }
        }
      }
    }
    return openMetrics > 0 && openMetrics >= plain ? OPEN_METRICS : PROMETHEUS;
  }

  private static double quality(String[] parts) {
    for (int i = 1; i < parts.length; i++) {
      String parameter = parts[i].strip();
      if (parameter.startsWith("q=")) {
        try {
          return Double.parseDouble(parameter.substring(2));
        } catch (NumberFormatException e) {
          return 0;
        }
      }
    }
    return 1;
  }
}
