package dev.zeusd.core.hwmon;

import dev.zeusd.core.Backend;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.CpuInfo.Domain;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.kernel.BootClock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * CPUs whose power or energy the kernel's sensors tell: NVIDIA's Grace (power of the CPU, and of
 * the module that carries it), and AMD's, by {@code amd_energy} or HSMP, where there is no RAPL.
 */
public final class HwmonCpus implements Backend<Cpu> {
  private static final System.Logger LOG = System.getLogger(HwmonCpus.class.getName());

  /** Where there are zones of RAPL, whose numbers are theirs. */
  private static final int FIRST_ID_BESIDE_RAPL = 100;

  private static final Pattern GRACE = Pattern.compile("(CPU|Module) Power Socket (\\d{1,3})");
  private static final Pattern AMD_SOCKET = Pattern.compile("Esocket(\\d{1,3})");
  private static final int MAX_LABELS = 1024;

  private final List<HwmonCpu> cpus;

  private HwmonCpus(List<HwmonCpu> cpus) {
    this.cpus = List.copyOf(cpus);
  }

  /** What is measured where, and what it is. */
  private record Sensor(Domain domain, int socket, Path file, boolean isEnergy) {
    EnergyCounter counter(BootClock clock) {
      return isEnergy ? new EnergyFile(file, clock) : new PowerMeter(file, clock);
    }
  }

  private record HwmonCpu(CpuInfo info, EnergyCounter cpuCounter) implements Cpu {
    @Override
    public Optional<EnergyCounter> dramCounter() {
      return Optional.empty();
    }
  }

  /**
   * Those that there are; reads names, and no power.
   *
   * @param dirs of which the first that has sensors is taken
   * @param besideRapl whether RAPL has CPUs of this machine
   */
  public static HwmonCpus find(List<Path> dirs, boolean besideRapl, BootClock clock) {
    List<Sensor> sensors = sensors(dirs, besideRapl);
    List<HwmonCpu> cpus = new ArrayList<>();
    int id = besideRapl ? FIRST_ID_BESIDE_RAPL : 0;
    for (Sensor sensor : sensors) {
      CpuInfo info = new CpuInfo(id++, false, sensor.domain);
      cpus.add(new HwmonCpu(info, sensor.counter(clock)));
    }
    if (!cpus.isEmpty()) {
      Path first = sensors.getFirst().file();
      LOG.log(System.Logger.Level.INFO, "{0} CPU sensor(s) by hwmon: {1}, ...", cpus.size(), first);
    }
    return new HwmonCpus(cpus);
  }

  /** Packages first, by socket; then modules. */
  private static List<Sensor> sensors(List<Path> dirs, boolean besideRapl) {
    List<Sensor> sensors = new ArrayList<>();
    List<Sensor> byHsmp = new ArrayList<>();
    boolean hasAmdEnergy = false;
    for (Chip chip : Chip.in(dirs)) {
      grace(chip).ifPresent(sensors::add);
      if (!besideRapl && chip.name().equals("amd_energy")) {
        List<Sensor> sockets = amdEnergy(chip);
        sensors.addAll(sockets);
        hasAmdEnergy |= !sockets.isEmpty();
      } else if (!besideRapl && chip.name().equals("amd_hsmp_hwmon")) {
        chip.file("power1_input")
            .ifPresent(file -> byHsmp.add(new Sensor(Domain.PACKAGE, byHsmp.size(), file, false)));
      }
    }
    if (!hasAmdEnergy) {
      sensors.addAll(byHsmp);
    }
    // One sensor that is shown twice would count twice in sums. A label does not tell: two boards
    // may number their sockets alike, and both are there.
    Set<Path> seen = new HashSet<>();
    sensors.removeIf(sensor -> !seen.add(Chip.real(sensor.file)));
    sensors.sort(Comparator.comparing(Sensor::domain).thenComparing(Sensor::socket));
    return sensors;
  }

  private static Optional<Sensor> grace(Chip chip) {
    String label =
        chip.file("power1_oem_info").map(file -> chip.text(relative(chip, file))).orElse("");
    Matcher matcher = GRACE.matcher(label);
    if (!matcher.matches()) {
      return Optional.empty();
    }
    Domain domain = matcher.group(1).equals("CPU") ? Domain.PACKAGE : Domain.MODULE;
    int socket = Integer.parseInt(matcher.group(2));
    return chip.file("power1_average").map(file -> new Sensor(domain, socket, file, false));
  }

  private static String relative(Chip chip, Path file) {
    return chip.dir().relativize(file).toString();
  }

  private static List<Sensor> amdEnergy(Chip chip) {
    List<Sensor> sockets = new ArrayList<>();
    for (int i = 1; i <= MAX_LABELS; i++) {
      String label = chip.text("energy" + i + "_label");
      if (label.isEmpty()) {
        break;
      }
      Matcher matcher = AMD_SOCKET.matcher(label);
      if (matcher.matches()) {
        int socket = Integer.parseInt(matcher.group(1));
        chip.file("energy" + i + "_input")
            .ifPresent(file -> sockets.add(new Sensor(Domain.PACKAGE, socket, file, true)));
      }
    }
    return sockets;
  }

  /** Whether there is a sensor of a CPU here that this process may read. */
  public static boolean hasReadableSensor(List<Path> dirs) {
    return sensors(dirs, false).stream().anyMatch(sensor -> Files.isReadable(sensor.file));
  }

  @Override
  public List<Cpu> devices() {
    return List.copyOf(cpus);
  }

  @Override
  public void close() {
    for (HwmonCpu cpu : cpus) {
      switch (cpu.cpuCounter()) {
        case PowerMeter meter -> meter.close();
        case EnergyFile file -> file.close();
        default -> {}
      }
    }
  }
}
