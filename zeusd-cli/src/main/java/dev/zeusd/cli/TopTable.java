package dev.zeusd.cli;

import dev.zeusd.cli.DaemonState.Device;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** The lines of {@code zeusd top}, without colours. */
final class TopTable {
  private static final String FORMAT = "%-8s %9s %8s %10s %8s %5s %5s %s";
  private static final int LEASE_WIDTH = 9;
  private static final int WIDE_LEASE_WIDTH = 18;
  private static final String BARS = "▁▂▃▄▅▆▇█";
  private static final int DAEMON_WIDTH = 18;
  private static final int PLAIN_WIDTH = 140;
  private static final int NAME_WIDTH = 22;
  private static final int LEAST_SPARKLINE = 8;
  private static final int LEAST_WITH_NAMES = 110;
  private static final int WIDEST_SPARKLINE = 60;

  private TopTable() {}

  /** What comes first. */
  enum Order {
    DEVICE(Comparator.comparing(Device::daemon)),
    POWER(Comparator.comparing(device -> -device.powerW().orElse(-1))),
    ENERGY(Comparator.comparing(device -> -device.energyJ().orElse(-1))),
    UTILIZATION(Comparator.comparing(device -> -device.utilizationPct().orElse(-1)));

    private final Comparator<Device> comparator;

    Order(Comparator<Device> first) {
      this.comparator =
          first.thenComparing(Device::daemon).thenComparing(Device::kind).thenComparing(Device::id);
    }
  }

  /** For scripts: all devices, as wide as it takes. */
  static String plain(List<DaemonState> states) {
    List<String> lines = new ArrayList<>(states.stream().map(TopTable::summary).toList());
    lines.add(header(states, PLAIN_WIDTH));
    sorted(states, Order.DEVICE).forEach(device -> lines.add(row(device, states, PLAIN_WIDTH)));
    return String.join(System.lineSeparator(), lines);
  }

  static List<Device> sorted(List<DaemonState> states, Order order) {
    return states.stream()
        .flatMap(state -> state.devices().stream())
        .sorted(order.comparator)
        .toList();
  }

  /** What the devices of a daemon take in all, or what is wrong. */
  static String summary(DaemonState state) {
    if (state.problem().isPresent()) {
      return Logging.harmless(state.problem().get());
    }
    double watts = state.counted().stream().mapToDouble(each -> each.powerW().orElse(0)).sum();
    double joules = state.counted().stream().mapToDouble(each -> each.energyJ().orElse(0)).sum();
    return String.format(
        Locale.ROOT,
        "%s: %d devices, %s, %s",
        state.daemon(),
        state.devices().size(),
        watts(watts),
        joules(joules));
  }

  static String header(List<DaemonState> states, int width) {
    return line(
        states,
        width,
        "DAEMON",
        String.format(
            Locale.ROOT,
            FORMAT,
            "DEVICE",
            "POWER",
            "LIMIT",
            "ENERGY",
            "CLOCK",
            "TEMP",
            "UTIL",
            padded("LEASE", leaseWidth(width))),
        "NAME",
        "HISTORY");
  }

  /** One device; with a sparkline of its power in what room there is. */
  static String row(Device device, List<DaemonState> states, int width) {
    String columns =
        String.format(
            Locale.ROOT,
            FORMAT,
            device.title(),
            text(device.powerW(), "%.1f W"),
            text(device.limitW(), "%.0f W"),
            device.energyJ().isPresent() ? joules(device.energyJ().getAsDouble()) : "-",
            text(device.clockMhz(), "%d MHz"),
            text(device.temperatureC(), "%d°C"),
            text(device.utilizationPct(), "%d%%"),
            padded(
                device.holder().isEmpty() ? "-" : Logging.harmless(device.holder()),
                leaseWidth(width)));
    String line =
        line(states, width, device.daemon(), columns, Logging.harmless(device.name()), "");
    int room = Math.min(WIDEST_SPARKLINE, width - line.length());
    return room < LEAST_SPARKLINE ? line : line + sparkline(device, room);
  }

  private static int leaseWidth(int width) {
    return isWide(width) ? WIDE_LEASE_WIDTH : LEASE_WIDTH;
  }

  private static boolean isWide(int width) {
    return width >= LEAST_WITH_NAMES;
  }

  /** The daemon's name only if there are several, and its end, where they differ. */
  private static String line(
      List<DaemonState> states,
      int width,
      String daemon,
      String columns,
      String name,
      String last) {
    int tooLong = daemon.length() - DAEMON_WIDTH;
    String end = tooLong > 0 ? "…" + daemon.substring(tooLong + 1) : daemon;
    String where = states.size() > 1 ? padded(end, DAEMON_WIDTH) + " " : "";
    return where + columns + " " + (isWide(width) ? padded(name, NAME_WIDTH) + " " : "") + last;
  }

  /** The newest values, from 0 to the limit or, without one, to the highest of them. */
  private static String sparkline(Device device, int room) {
    double[] all = device.historyW();
    double most = device.limitW().orElse(0);
    for (double each : all) {
      most = Math.max(most, each);
    }
    StringBuilder line = new StringBuilder();
    for (int i = Math.max(0, all.length - room); i < all.length; i++) {
      int level = most <= 0 ? 0 : (int) (all[i] / most * (BARS.length() - 1) + 0.5);
      line.append(BARS.charAt(level));
    }
    return line.toString();
  }

  private static String padded(String text, int width) {
    String shown = text.length() > width ? text.substring(0, width - 1) + "…" : text;
    return shown + " ".repeat(width - shown.length());
  }

  private static String watts(double watts) {
    return String.format(Locale.ROOT, "%,.1f W", watts);
  }

  /** In the unit that keeps it short. */
  private static String joules(double joules) {
    if (joules < 1e4) {
      return String.format(Locale.ROOT, "%.1f J", joules);
    }
    return joules < 1e7
        ? String.format(Locale.ROOT, "%.1f kJ", joules / 1e3)
        : String.format(Locale.ROOT, "%.1f MJ", joules / 1e6);
  }

  private static String text(OptionalDouble value, String format) {
    return value.isPresent() ? String.format(Locale.ROOT, format, value.getAsDouble()) : "-";
  }

  private static String text(OptionalInt value, String format) {
    return value.isPresent() ? String.format(Locale.ROOT, format, value.getAsInt()) : "-";
  }
}
