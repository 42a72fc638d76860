package dev.zeusd.core.rapl;

import dev.zeusd.core.device.Cpu;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * The CPU packages in a powercap tree: the zones {@code intel-rapl:N} whose {@code name} is that of
 * a package. AMD's packages are under the same names.
 *
 * <p>A sub-zone is looked for within its zone, where Linux has it, and beside it, since {@code
 * /sys/class/powercap} lists all zones side by side.
 */
public final class RaplCpus implements AutoCloseable {
  private static final Pattern ZONE = Pattern.compile("intel-rapl:(\\d{1,9})");
  private static final Pattern PACKAGE = Pattern.compile("package-\\d+(-die-\\d+)?");
  private static final int LONGEST_NAME = 64;

  private final List<RaplCpu> cpus = new ArrayList<>();
  private final List<String> problems = new ArrayList<>();

  private RaplCpus() {}

  /**
   * Lists the packages below {@code dir}; reads names, and no counter.
   *
   * @param nanoTime the clock, as {@link System#nanoTime}; asked right after each read of a counter
   */
  public static RaplCpus open(Path dir, LongSupplier nanoTime) {
    RaplCpus rapl = new RaplCpus();
    rapl.find(dir, nanoTime);
    return rapl;
  }

  private void find(Path dir, LongSupplier nanoTime) {
    try {
      for (Path zone : list(dir)) {
        Matcher matcher = ZONE.matcher(zone.getFileName().toString());
        if (matcher.matches() && PACKAGE.matcher(name(zone)).matches()) {
          int id = Integer.parseInt(matcher.group(1));
          cpus.add(new RaplCpu(id, zone, dramZone(dir, zone), nanoTime));
        }
      }
      if (cpus.isEmpty()) {
        addNone("no zone below " + dir + " is a CPU package");
      }
    } catch (IOException e) {
      addNone(dir + (Files.exists(dir) ? " cannot be listed: " + e : " does not exist"));
    }
    cpus.sort(Comparator.comparingInt(cpu -> cpu.info().id()));
  }

  private void addNone(String why) {
    problems.add(
        "no CPUs: "
            + why
            + ". Is the kernel module intel_rapl_msr loaded, and the directory right?");
  }

  private Optional<Path> dramZone(Path dir, Path zone) throws IOException {
    String prefix = zone.getFileName() + ":";
    List<Path> candidates = new ArrayList<>(list(zone));
    candidates.addAll(list(dir));
    return candidates.stream()
        .filter(candidate -> candidate.getFileName().toString().startsWith(prefix))
        .filter(candidate -> name(candidate).equals("dram"))
        .findFirst();
  }

  private static List<Path> list(Path dir) throws IOException {
    try (Stream<Path> entries = Files.list(dir)) {
      return entries.sorted().toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** A zone's name; empty for what has none, and so is no zone. */
  private String name(Path zone) {
    Path file = zone.resolve("name");
    try {
      if (Files.exists(file) && !Files.isRegularFile(file)) {
        // To open a FIFO waits for a writer, maybe for ever.
        throw new IOException("it is not a regular file");
      }
      try (InputStream in = Files.newInputStream(file)) {
        return new String(in.readNBytes(LONGEST_NAME), StandardCharsets.ISO_8859_1).strip();
      }
    } catch (IOException e) {
      problems.add(zone + " is left out, its name cannot be read: " + e);
      return "";
    }
  }

  /** By id; may be empty. */
  public List<Cpu> cpus() {
    return List.copyOf(cpus);
  }

  /** What people should know: zones that are left out, or why there are none. */
  public List<String> problems() {
    return List.copyOf(problems);
  }

  /** Closes the counters' files. */
  @Override
  public void close() {
    cpus.forEach(RaplCpu::close);
  }
}
