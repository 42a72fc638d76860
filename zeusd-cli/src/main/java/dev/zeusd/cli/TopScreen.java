package dev.zeusd.cli;

import dev.zeusd.cli.DaemonState.Device;
import java.io.IOError;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jline.terminal.Attributes;
import org.jline.terminal.Size;
import org.jline.terminal.Terminal;
import org.jline.terminal.TerminalBuilder;
import org.jline.utils.AttributedString;
import org.jline.utils.AttributedStringBuilder;
import org.jline.utils.AttributedStyle;
import org.jline.utils.Display;
import org.jline.utils.InfoCmp.Capability;

/** The terminal of {@code zeusd top}; JLine knows what it can. */
final class TopScreen {
  /** How long a key, or another size of the window, may wait. */
  private static final long GLANCE_MILLIS = 200;

  private static final int DEFAULT_WIDTH = 80;
  private static final int DEFAULT_HEIGHT = 24;
  private static final double HOT_SHARE = 0.9;
  private static final double WARM_SHARE = 0.6;
  private static final int CONTROL_C = 3;
  private static final int END = -1;

  private final Terminal terminal;
  private final Watches watches;
  private final Display display;
  private int shownWidth;
  private int shownHeight;
  private TopTable.Order order = TopTable.Order.DEVICE;

  private TopScreen(Terminal terminal, Watches watches) {
    this.terminal = terminal;
    this.watches = watches;
    this.display = new Display(terminal, true);
  }

  /**
   * Until q is pressed, or the terminal is gone.
   *
   * @throws StartupException if the terminal can only write line after line
   */
  static void show(Watches watches) throws IOException {
    try (Terminal terminal = TerminalBuilder.builder().system(true).provider("ffm").build()) {
      if (terminal.getStringCapability(Capability.cursor_address) == null) {
        throw new StartupException(
            "this terminal cannot move its cursor (TERM is "
                + System.getenv().getOrDefault("TERM", "not set")
                + "); use --once or --json");
      }
      Attributes before = terminal.enterRawMode();
      Thread restore = new Thread(() -> restore(terminal, before), "restore the terminal");
      // Also when a signal ends it.
      Runtime.getRuntime().addShutdownHook(restore);
      terminal.puts(Capability.enter_ca_mode);
      terminal.puts(Capability.cursor_invisible);
      try {
        new TopScreen(terminal, watches).run();
      } catch (IOException | IOError e) {
        // The terminal is gone: nobody looks.
        return;
      } finally {
        Runtime.getRuntime().removeShutdownHook(restore);
        restore(terminal, before);
      }
    }
  }

  private static void restore(Terminal terminal, Attributes before) {
    terminal.puts(Capability.exit_ca_mode);
    terminal.puts(Capability.cursor_normal);
    terminal.setAttributes(before);
    terminal.flush();
  }

  private void run() throws IOException {
    while (true) {
      draw();
      int key = terminal.reader().read(GLANCE_MILLIS);
      switch (key) {
        case 'q', 'Q', CONTROL_C, END -> {
          return;
        }
        case 'p' -> order = TopTable.Order.POWER;
        case 'e' -> order = TopTable.Order.ENERGY;
        case 'u' -> order = TopTable.Order.UTILIZATION;
        case 'd' -> order = TopTable.Order.DEVICE;
        default -> {
          // Nothing was pressed, or nothing that means anything.
        }
      }
    }
  }

  private void draw() {
    Size size = terminal.getSize();
    // Some terminals do not say how large they are.
    int width = size.getColumns() > 0 ? size.getColumns() : DEFAULT_WIDTH;
    int height = size.getRows() > 0 ? size.getRows() : DEFAULT_HEIGHT;
    if (width != shownWidth || height != shownHeight) {
      // Wherever the cursor is, and whatever stands there.
      display.clear();
      display.resize(height, width);
      shownWidth = width;
      shownHeight = height;
    }
    List<AttributedString> lines = lines(watches.states(), order, width, height);
    display.update(lines, 0);
  }

  /** What is shown: as many lines as there is room for, each as wide as the screen. */
  static List<AttributedString> lines(
      List<DaemonState> states, TopTable.Order order, int width, int height) {
    List<AttributedString> lines = new ArrayList<>();
    List<DaemonState> told = states;
    int most = Math.max(1, height / 2 - 1);
    if (states.size() > most) {
      // Those that something is wrong with first.
      told =
          states.stream()
              .sorted(Comparator.comparing(state -> state.problem().isEmpty()))
              .limit(most)
              .toList();
    }
    for (DaemonState state : told) {
      AttributedStyle style = AttributedStyle.BOLD;
      boolean isLost = state.problem().isPresent();
      String summary = TopTable.summary(state);
      lines.add(line(summary, isLost ? style.foreground(AttributedStyle.RED) : style, width));
    }
    lines.add(line(TopTable.header(states, width), AttributedStyle.INVERSE, width));
    List<Device> devices = TopTable.sorted(states, order);
    int shown = Math.clamp(height - lines.size() - 1, 0, devices.size());
    for (Device device : devices.subList(0, shown)) {
      lines.add(line(TopTable.row(device, states, width), style(device), width));
    }
    lines.add(
        line(
            more(states.size() - told.size(), "daemons")
                + more(devices.size() - shown, "devices")
                + "q quit  sort by: p power  e energy  u utilisation  d device",
            AttributedStyle.DEFAULT.faint(),
            width));
    return lines.subList(0, Math.min(height, lines.size()));
  }

  private static String more(int count, String what) {
    return count > 0 ? count + " more " + what + "; " : "";
  }

  /** By how near it is to its limit. */
  private static AttributedStyle style(Device device) {
    if (device.powerW().isEmpty()) {
      return AttributedStyle.DEFAULT.faint();
    }
    double share = device.powerW().getAsDouble() / device.limitW().orElse(Double.MAX_VALUE);
    if (share >= HOT_SHARE) {
      return AttributedStyle.DEFAULT.foreground(AttributedStyle.RED);
    }
    return share >= WARM_SHARE
        ? AttributedStyle.DEFAULT.foreground(AttributedStyle.YELLOW)
        : AttributedStyle.DEFAULT;
  }

  /** As wide as the screen, so that what was there before is gone. */
  private static AttributedString line(String text, AttributedStyle style, int width) {
    // Columns, not characters: those of East Asian scripts take two.
    AttributedString cut = new AttributedString(text, style).columnSubSequence(0, width);
    String rest = " ".repeat(Math.max(0, width - cut.columnLength()));
    return new AttributedStringBuilder().append(cut).append(rest, style).toAttributedString();
  }
}
