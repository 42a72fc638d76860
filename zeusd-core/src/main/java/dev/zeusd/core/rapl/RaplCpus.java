package dev.zeusd.core.rapl;

import dev.zeusd.core.Backend;
import dev.zeusd.core.StateDirectory;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.ffm.posix.FileFacts;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * The CPUs in a powercap tree: the zones {@code intel-rapl:N} whose {@code name} is that of a
 * package, or {@code psys}. AMD's packages are under the same names.
 *
 * <p>A sub-zone is looked for within its zone, where Linux has it, and beside it, since {@code
 * /sys/class/powercap} lists all zones side by side.
 *
 * <p>A zone that is in trouble costs itself; {@link #lookForMore} finds it when it has recovered.
 * Only one thread at a time may look.
 */
public final class RaplCpus implements Backend<Cpu> {
  private static final System.Logger LOG = System.getLogger(RaplCpus.class.getName());

  /** Without leading zeros: no two folders have the same number. */
  private static final Pattern ZONE = Pattern.compile("intel-rapl:(0|[1-9]\\d{0,8})");

  private static final Pattern PACKAGE = Pattern.compile("package-\\d+(-die-\\d+)?");
  private static final int LONGEST_NAME = 64;

  private final List<Path> candidates;
  private final BootClock clock;

  /** In the order in which they were found; replaced as a whole. */
  private volatile List<RaplCpu> cpus = List.of();

  private volatile List<String> problems = List.of();

  private final Supplier<SavedCounters> savedLoader;

  /** Loaded with the first CPU. */
  private volatile SavedCounters saved = SavedCounters.none();

  /** Where the CPUs are; empty before the first was found. */
  private Optional<Path> dir = Optional.empty();

  private RaplCpus(List<Path> candidates, BootClock clock, Supplier<SavedCounters> savedLoader) {
    this.candidates = candidates;
    this.savedLoader = savedLoader;
    this.clock = clock;
  }

  /**
   * Lists the CPUs in the first of {@code candidates} that has any; reads names, and no counter.
   *
   * @param candidates directories; none needs to exist
   * @param clock asked right after each read of a counter
   */
  public static RaplCpus open(List<Path> candidates, BootClock clock) {
    return open(candidates, clock, Optional::empty);
  }

  /**
   * The same, with a place where energy is saved.
   *
   * @param state opens it; asked when the first CPU is found
   */
  public static RaplCpus open(
      List<Path> candidates, BootClock clock, Supplier<Optional<StateDirectory>> state) {
    RaplCpus rapl =
        new RaplCpus(List.copyOf(candidates), clock, () -> new SavedCounters(state.get()));
    rapl.lookForMore();
    return rapl;
  }

  /** Looks again; CPUs that are known already stay as they are, whatever became of them. */
  @Override
  public void lookForMore() {
    // One zone may be seen twice, as a sub-zone's candidate.
    Set<String> seen = new LinkedHashSet<>();
    List<String> without = new ArrayList<>();
    for (Path candidate : dir.map(List::of).orElse(candidates)) {
      try {
        addNew(candidate, seen);
        if (!cpus.isEmpty()) {
          choose(candidate);
          break;
        }
        without.add("no zone in " + candidate + " is a CPU package");
      } catch (IOException e) {
        describeMissing(candidate, e).ifPresent(without::add);
      }
    }
    boolean onlyPsys = cpus.stream().allMatch(cpu -> cpu.info().domain() == CpuInfo.Domain.PSYS);
    if (cpus.isEmpty()) {
      seen.add(
          "no CPUs: "
              + String.join("; ", without)
              + ". Is the kernel module intel_rapl_msr loaded, and the directory right?");
    } else if (onlyPsys) {
      seen.add("no CPU packages in " + dir.get() + ", only psys");
    }
    problems = List.copyOf(seen);
  }

  private void choose(Path candidate) {
    if (dir.isEmpty()) {
      dir = Optional.of(candidate);
      LOG.log(System.Logger.Level.INFO, "{0} CPU(s) by RAPL in {1}", cpus.size(), candidate);
    }
  }

  private Optional<String> describeMissing(Path candidate, IOException e) {
    if (Files.exists(candidate)) {
      return Optional.of(candidate + " cannot be listed (" + FileFacts.reason(e) + ")");
    }
    if (Files.exists(candidate, LinkOption.NOFOLLOW_LINKS)) {
      return Optional.of(
          candidate
              + " is a link that leads nowhere (where only a part of /sys is mounted, mount all of"
              + " it)");
    }
    // Of several, those that nobody has prepared are not worth a word.
    Path top = candidate.toAbsolutePath();
    boolean prepared = Files.exists(top.getRoot().resolve(top.getName(0)));
    return prepared || candidates.size() == 1
        ? Optional.of(candidate + " does not exist")
        : Optional.empty();
  }

  /** A zone that is there: its folder, its number and its kind. */
  private record Zone(Path dir, int id, CpuInfo.Domain domain) {}

  private void addNew(Path candidate, Set<String> seen) throws IOException {
    List<Path> entries = list(candidate);
    List<Zone> zones = newZones(entries, seen);
    Map<String, List<Path>> beside =
        entries.stream().collect(Collectors.groupingBy(RaplCpus::nameOfZoneAbove));
    if (cpus.isEmpty() && !zones.isEmpty()) {
      saved = savedLoader.get();
    }
    Stream<RaplCpu> added =
        zones.stream()
            .map(
                zone -> {
                  Optional<Path> dram = dramZone(zone.dir, beside, seen);
                  return new RaplCpu(zone.id, zone.domain, zone.dir, dram, clock, saved);
                });
    cpus = Stream.concat(cpus.stream(), added).toList();
  }

  private List<Zone> newZones(List<Path> entries, Set<String> seen) {
    Set<Integer> known = cpus.stream().map(cpu -> cpu.info().id()).collect(Collectors.toSet());
    List<Zone> zones = new ArrayList<>();
    for (Path zone : entries) {
      Matcher matcher = ZONE.matcher(zone.getFileName().toString());
      if (matcher.matches() && !known.contains(Integer.parseInt(matcher.group(1)))) {
        int id = Integer.parseInt(matcher.group(1));
        domain(name(zone, seen)).ifPresent(domain -> zones.add(new Zone(zone, id, domain)));
      }
    }
    zones.sort(Comparator.comparingInt(Zone::id));
    return zones;
  }

  private static Optional<CpuInfo.Domain> domain(String name) {
    if (PACKAGE.matcher(name).matches()) {
      return Optional.of(CpuInfo.Domain.PACKAGE);
    }
    return name.equals("psys") ? Optional.of(CpuInfo.Domain.PSYS) : Optional.empty();
  }

  /** Of {@code intel-rapl:0:1}, {@code intel-rapl:0}. */
  private static String nameOfZoneAbove(Path zone) {
    String name = zone.getFileName().toString();
    return name.substring(0, Math.max(0, name.lastIndexOf(':')));
  }

  /** The one of DRAM within a zone, or else beside it; {@code beside} by the zone above. */
  private static Optional<Path> dramZone(
      Path zone, Map<String, List<Path>> beside, Set<String> seen) {
    String above = zone.getFileName().toString();
    List<Path> subzones = new ArrayList<>();
    try {
      list(zone).stream()
          .filter(each -> nameOfZoneAbove(each).equals(above))
          .forEach(subzones::add);
    } catch (IOException e) {
      seen.add(zone + " cannot be listed, so DRAM is not found: " + FileFacts.reason(e));
    }
    subzones.addAll(beside.getOrDefault(above, List.of()));
    return subzones.stream().filter(each -> name(each, seen).equals("dram")).findFirst();
  }

  private static List<Path> list(Path dir) throws IOException {
    try (Stream<Path> entries = Files.list(dir)) {
      return entries.sorted().toList();
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }

  /** A zone's name; empty for what has none, and so is no zone. */
  private static String name(Path zone, Set<String> seen) {
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
      seen.add(zone + " is left out, its name cannot be read: " + FileFacts.reason(e));
      return "";
    }
  }

  /** Whether a zone in one of these directories has a counter that this process may read. */
  public static boolean hasReadableCounter(List<Path> dirs) {
    return dirs.stream().anyMatch(RaplCpus::hasReadableCounter);
  }

  private static boolean hasReadableCounter(Path dir) {
    try {
      return list(dir).stream()
          .filter(zone -> ZONE.matcher(zone.getFileName().toString()).matches())
          .anyMatch(zone -> Files.isReadable(zone.resolve("energy_uj")));
    } catch (IOException e) {
      return false;
    }
  }

  /** In the order in which they were found, at one time by id; may be empty. */
  @Override
  public List<Cpu> devices() {
    return List.copyOf(cpus);
  }

  /** Whether something may be there that could not be had the last time. */
  @Override
  public boolean mayHaveMore() {
    return !problems.isEmpty();
  }

  /** What people should know: zones that are left out, or why there are none. */
  @Override
  public List<String> problems() {
    return problems;
  }

  /** Saves what was counted and closes the counters' files. */
  @Override
  public void close() {
    cpus.forEach(RaplCpu::close);
    saved.close();
  }
}
