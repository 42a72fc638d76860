package dev.zeusd.cli;

import dev.zeusd.ffm.posix.Signals;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * Signals are for the command: this process outlives them to tell the end, and passes on what the
 * command has not got by itself. What a terminal sends when keys are pressed goes to the whole
 * process group, the command included.
 */
final class ForwardedSignals {
  /** By their names, with their numbers on Linux. */
  private static final Map<String, Integer> PASSED_ON =
      Map.of("HUP", 1, "INT", 2, "USR1", 10, "USR2", 12, "TERM", 15);

  private static final int INT = 2;

  // Guarded by this.
  private Optional<Process> command = Optional.empty();
  private OptionalInt received = OptionalInt.empty();

  private ForwardedSignals() {}

  /** From here on none of them ends this process. */
  static ForwardedSignals begin() {
    ForwardedSignals signals = new ForwardedSignals();
    PASSED_ON.forEach((name, number) -> Signals.on(name, () -> signals.receive(number)));
    return signals;
  }

  /** One that came before there was a command. */
  synchronized OptionalInt received() {
    return received;
  }

  /** This is the command. */
  synchronized void to(Process process) {
    command = Optional.of(process);
    received.ifPresent(number -> Signals.send(process.pid(), number));
  }

  private synchronized void receive(int number) {
    if (command.isEmpty()) {
      received = OptionalInt.of(number);
    } else if (command.get().isAlive() && !(number == INT && isForeground())) {
      Signals.send(command.get().pid(), number);
    }
  }

  /** Whether the terminal's keys reach this process group, and with it the command. */
  private static boolean isForeground() {
    try {
      String stat = Files.readString(Path.of("/proc/self/stat"));
      // Behind the name, which may hold anything: state, parent, group, session, terminal, its
      // group.
      String[] fields = stat.substring(stat.lastIndexOf(')') + 2).split(" ");
      return fields[2].equals(fields[5]);
    } catch (IOException e) {
      return false;
    }
  }
}
