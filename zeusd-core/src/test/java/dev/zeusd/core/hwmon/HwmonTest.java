package dev.zeusd.core.hwmon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.Await;
import dev.zeusd.core.GpuBackend;
import dev.zeusd.core.Node;
import dev.zeusd.core.NodeConfig;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuInfo.Domain;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.device.EnergyCounter;
import dev.zeusd.core.device.EnergyReading;
import dev.zeusd.core.device.Gpu;
import dev.zeusd.core.driver.GpuIds;
import dev.zeusd.core.kernel.BootClock;
import dev.zeusd.core.rapl.RaplTree;
import dev.zeusd.core.sampling.CpuPowerSample;
import dev.zeusd.core.sampling.Subscription;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Trees of files of the form that the kernel's drivers have. */
@Timeout(60)
class HwmonTest {
  private static final long SECOND = 1_000_000_000L;

  @TempDir private Path dir;

  private final AtomicLong nanos = new AtomicLong(SECOND);

  /** Goes on by a little with each look. */
  private final BootClock clock = BootClock.of(() -> nanos.addAndGet(1));

  /** Texts of files of a chip: name, text, name, text, ... */
  private void chip(int number, String... files) throws IOException {
    for (int i = 0; i < files.length; i += 2) {
      Path file = dir.resolve("hwmon" + number).resolve(files[i]);
      Files.createDirectories(file.getParent());
      Files.writeString(file, files[i + 1] + "\n");
    }
  }

  private void grace(int number, String label, long microwatts) throws IOException {
    chip(number, "name", "power_meter", "device/power1_oem_info", label);
    chip(number, "device/power1_average", "" + microwatts);
  }

  private List<Cpu> cpus(boolean besideRapl) {
    return HwmonCpus.find(List.of(dir), besideRapl, clock).devices();
  }

  @Test
  void graceHasACpuAndAModuleForEachSocket() throws IOException {
    grace(11, "CPU Power Socket 1", 2_000_000);
    grace(2, "Module Power Socket 0", 3_000_000);
    grace(3, "CPU Power Socket 0", 1_000_000);
    grace(4, "SysIO Power Socket 0", 9_000_000);
    grace(5, "Grace Power Socket 0", 9_000_000);
    chip(6, "name", "coretemp", "temp1_input", "50000");
    chip(7, "device/power1_oem_info", "CPU Power Socket 7");
    Files.writeString(dir.resolve("hwmon"), "no folder");
    List<Cpu> cpus = cpus(false);
    assertEquals(List.of(0, 1, 2), cpus.stream().map(cpu -> cpu.info().id()).toList());
    assertEquals(
        List.of(Domain.PACKAGE, Domain.PACKAGE, Domain.MODULE),
        cpus.stream().map(cpu -> cpu.info().domain()).toList());
    assertEquals(List.of(100, 101, 102), cpus(true).stream().map(cpu -> cpu.info().id()).toList());
    assertTrue(HwmonCpus.hasReadableSensor(List.of(dir)));
    assertFalse(HwmonCpus.hasReadableSensor(List.of(dir.resolve("none"))));
    for (int i = 0; i < 3; i++) {
      EnergyCounter counter = cpus.get(i).cpuCounter();
      EnergyReading first = counter.read();
      nanos.addAndGet(SECOND / 2);
      assertEquals((i + 1) * 1000L, counter.read().powerMwSince(first).orElseThrow());
    }
  }

  @Test
  void aSensorThatIsShownTwiceIsOneAndTwoSocketsAreTwoWhateverTheirLabels() throws IOException {
    grace(0, "CPU Power Socket 0", 1_000_000);
    grace(1, "CPU Power Socket 0", 2_000_000);
    // Another chip of the first one's device, and another link to the second chip.
    chip(2, "name", "power_meter");
    Files.createSymbolicLink(dir.resolve("hwmon2/device"), dir.resolve("hwmon0/device"));
    Files.createSymbolicLink(dir.resolve("hwmon3"), dir.resolve("hwmon1"));
    List<Cpu> cpus = cpus(false);
    assertEquals(2, cpus.size());
    for (int i = 0; i < 2; i++) {
      EnergyCounter counter = cpus.get(i).cpuCounter();
      EnergyReading first = counter.read();
      nanos.addAndGet(SECOND);
      assertEquals((i + 1) * 1000L, counter.read().powerMwSince(first).orElseThrow());
    }
  }

  @Test
  void energyIsThePowerOverTimeAndAGapIsNotMadeUp() throws IOException {
    grace(0, "CPU Power Socket 0", 100_000_000);
    EnergyCounter counter = cpus(false).getFirst().cpuCounter();
    assertEquals(0, counter.read().energyUj());
    for (int i = 0; i < 10; i++) {
      nanos.addAndGet(counter.maxSilenceNanos());
      counter.read();
    }
    grace(0, "CPU Power Socket 0", 50_000_000);
    nanos.addAndGet(SECOND);
    EnergyReading before = counter.read();
    assertEquals(1_050_000_000, before.energyUj(), 1000);
    nanos.addAndGet(3600 * SECOND);
    EnergyReading after = counter.read();
    assertEquals(before.energyUj(), after.energyUj(), "nobody knows");
    assertTrue(after.powerMwSince(before).isEmpty());
    Files.delete(dir.resolve("hwmon0/device/power1_average"));
    assertThrows(DeviceException.Failed.class, counter::read);
    grace(0, "CPU Power Socket 0", 1);
    counter.read();
  }

  @Test
  void whatNothingDrawsIsNotTakenForPower() throws IOException {
    grace(0, "CPU Power Socket 0", 100_000_000);
    EnergyCounter counter = cpus(false).getFirst().cpuCounter();
    counter.read();
    grace(0, "CPU Power Socket 0", Long.MAX_VALUE);
    nanos.addAndGet(SECOND);
    assertThrows(DeviceException.Failed.class, counter::read);
    grace(0, "CPU Power Socket 0", 100_000_000);
    nanos.addAndGet(SECOND);
    assertEquals(200_000_000, counter.read().energyUj(), 1000);
  }

  @Test
  void amdIsReadWhereThereIsNoRaplAndByTheBetterOfTwoSensors() throws IOException {
    chip(0, "name", "amd_hsmp_hwmon", "power1_input", "90000000");
    chip(1, "name", "amd_hsmp_hwmon", "power1_input", "95000000");
    assertEquals(2, cpus(false).size());
    assertEquals(0, cpus(true).size(), "RAPL has them");
    chip(2, "name", "amd_energy", "energy1_label", "Ecore000", "energy1_input", "1");
    chip(2, "energy2_label", "Esocket0", "energy2_input", "5000000");
    chip(2, "energy3_label", "Esocket1", "energy3_input", "7000000");
    List<Cpu> cpus = cpus(false);
    assertEquals(2, cpus.size());
    assertEquals(7_000_000, cpus.get(1).cpuEnergyUj());
    chip(2, "energy3_input", "8000000");
    assertEquals(8_000_000, cpus.get(1).cpuEnergyUj());
    chip(2, "energy3_input", "100");
    assertEquals(8_000_000, cpus.get(1).cpuEnergyUj(), "the driver was loaded anew");
    chip(2, "energy3_input", "200");
    assertEquals(8_000_100, cpus.get(1).cpuEnergyUj());
  }

  @Test
  void intelsGpusTellPowerAndEnergy() throws Exception {
    Path pci = Files.createDirectories(dir.resolve("devices/0000:03:00.0"));
    chip(0, "name", "i915", "energy1_input", "1000000");
    Files.createSymbolicLink(dir.resolve("hwmon0/device"), pci);
    chip(1, "name", "i915_gt0", "energy1_input", "5");
    chip(2, "name", "xe", "energy1_input", "2000000", "energy2_input", "1");
    List<Gpu> gpus = HwmonGpus.find(List.of(dir), new GpuIds(), clock).devices();
    assertEquals(2, gpus.size());
    assertEquals(Optional.of("0000:03:00.0"), gpus.get(0).info().pciAddress());
    assertEquals(Optional.of("intel"), gpus.get(1).vendor());
    assertEquals(2000, gpus.get(1).energyMj());
    gpus.get(1).powerMw();
    chip(2, "energy1_input", "" + 102_000_000);
    nanos.addAndGet(SECOND);
    assertEquals(100_000, gpus.get(1).powerMw());
    assertEquals(100_000, gpus.get(1).powerMw(), "too early for another one");
    chip(2, "energy1_input", "" + 112_000_000);
    nanos.addAndGet(SECOND / 10);
    assertEquals(100_000, gpus.get(1).powerMw());
    assertThrows(DeviceException.NotSupported.class, () -> gpus.get(0).setPowerLimit(1));
  }

  /** As of a card that is dying: whoever asks is told, and does not wait for ever. */
  @Test
  void aCounterThatFallsAgainAndAgainIsNoPower() throws IOException {
    chip(0, "name", "xe", "energy1_input", "1000000");
    Path counter = dir.resolve("hwmon0/energy1_input");
    BootClock whileItFalls =
        BootClock.of(
            () -> {
              try {
                Files.writeString(
                    counter, Long.parseLong(Files.readString(counter).strip()) - 1 + "\n");
              } catch (IOException e) {
                throw new java.io.UncheckedIOException(e);
              }
              return nanos.addAndGet(SECOND);
            });
    Gpu gpu = HwmonGpus.find(List.of(dir), new GpuIds(), whileItFalls).devices().getFirst();
    DeviceException e = assertThrows(DeviceException.Failed.class, gpu::powerMw);
    assertTrue(e.getMessage().contains("energy1_input falls again and again"), e::getMessage);
  }

  @Test
  void aGpuIsFoundAgainWhereItsDriverHasPutItAndNoOtherIsTakenForIt() throws Exception {
    Path first = card("0000:03:00.0", 0, 5_000_000);
    Path second = card("0000:04:00.0", 1, 7_000_000);
    List<Gpu> gpus = HwmonGpus.find(List.of(dir), new GpuIds(), clock).devices();
    assertEquals(5000, gpus.get(0).energyMj());
    assertEquals(7000, gpus.get(1).energyMj());
    // The drivers are loaded anew, and come in the other order.
    for (int number = 0; number < 2; number++) {
      Files.delete(dir.resolve("hwmon" + number));
    }
    Files.delete(first.resolve("energy1_input"));
    Files.delete(second.resolve("energy1_input"));
    assertThrows(DeviceException.Failed.class, gpus.get(0)::energyMj);
    card("0000:04:00.0", 0, 100);
    card("0000:03:00.0", 1, 9_000_000);
    assertEquals(5000, gpus.get(0).energyMj(), "what it counts now is another count");
    card("0000:03:00.0", 1, 10_000_000);
    assertEquals(6000, gpus.get(0).energyMj());
    assertEquals(7000, gpus.get(1).energyMj());
  }

  /** A card with its sensors, as sysfs has both, and a link to them; gives the sensors' folder. */
  private Path card(String pciAddress, int number, long microjoules) throws IOException {
    Path device = dir.resolve("devices").resolve(pciAddress);
    Path folder = Files.createDirectories(device.resolve("hwmon/hwmon" + number));
    Files.writeString(folder.resolve("name"), "i915\n");
    Files.writeString(folder.resolve("energy1_input"), microjoules + "\n");
    if (!Files.exists(folder.resolve("device"))) {
      Files.createSymbolicLink(folder.resolve("device"), Path.of("../.."));
    }
    if (!Files.exists(dir.resolve("hwmon" + number))) {
      Files.createSymbolicLink(dir.resolve("hwmon" + number), folder);
    }
    return folder;
  }

  @Test
  void theHostsSensorsInAContainerComeFirstUnlessTheirLinksLeadNowhere(@TempDir Path mounted)
      throws IOException {
    grace(0, "CPU Power Socket 0", 1_000_000);
    List<Path> dirs = List.of(mounted.resolve("class/hwmon"), dir);
    assertEquals(1, HwmonCpus.find(dirs, false, clock).devices().size(), "nothing is mounted");
    // Where only class/hwmon is mounted, what it holds are links to elsewhere in /sys.
    Files.createDirectories(dirs.getFirst());
    Files.createSymbolicLink(dirs.getFirst().resolve("hwmon0"), Path.of("../../devices/hwmon0"));
    assertEquals(1, HwmonCpus.find(dirs, false, clock).devices().size(), "a part is");
    assertTrue(HwmonCpus.hasReadableSensor(dirs));
    for (int socket = 0; socket < 2; socket++) {
      Path host = Files.createDirectories(mounted.resolve("devices/hwmon" + socket));
      Files.writeString(host.resolve("power1_oem_info"), "CPU Power Socket " + socket);
      Files.writeString(host.resolve("power1_average"), "5000000");
    }
    Files.createSymbolicLink(dirs.getFirst().resolve("hwmon1"), Path.of("../../devices/hwmon1"));
    List<Cpu> cpus = HwmonCpus.find(dirs, false, clock).devices();
    assertEquals(2, cpus.size(), "all of it is");
    EnergyCounter counter = cpus.getFirst().cpuCounter();
    EnergyReading before = counter.read();
    nanos.addAndGet(SECOND);
    assertEquals(5000, counter.read().powerMwSince(before).orElseThrow(), "the host's");
    assertEquals(
        List.of(Path.of("/zeus_sys/class/hwmon"), Path.of("/sys/class/hwmon")),
        NodeConfig.defaults().hwmonDirs());
  }

  @Test
  void aSocketIsStreamedBesideRapl(@TempDir Path raplDir) throws Exception {
    grace(0, "CPU Power Socket 0", 42_000_000);
    try (RaplTree rapl = new RaplTree(raplDir)) {
      rapl.zone(0, "package-0");
      NodeConfig config =
          NodeConfig.defaults()
              .withGpuBackend(GpuBackend.NONE)
              .withRaplDir(raplDir)
              .withHwmonDir(dir);
      try (Node node = Node.open(config);
          Subscription<CpuPowerSample> power = node.cpuPower().subscribe(List.of(100))) {
        assertEquals(List.of(0, 100), node.cpus().stream().map(cpu -> cpu.id()).toList());
        assertEquals(42_000, power.poll(Duration.ofSeconds(20)).getFirst().cpuMw());
        long energyUj = node.cpus().get(1).call(Cpu::cpuEnergyUj);
        Await.until("it grows", () -> node.cpus().get(1).call(Cpu::cpuEnergyUj) > energyUj);
      }
    }
  }

  @Test
  void whereThereAreOnlySensorsNothingIsMissing(@TempDir Path empty) throws Exception {
    grace(0, "CPU Power Socket 0", 42_000_000);
    NodeConfig config =
        NodeConfig.defaults()
            .withGpuBackend(GpuBackend.NONE)
            .withRaplDir(empty.resolve("none"))
            .withHwmonDir(dir);
    try (Node node = Node.open(config)) {
      assertEquals(List.of(0), node.cpus().stream().map(cpu -> cpu.id()).toList());
      assertEquals(List.of(), node.problems());
    }
    try (Node node = Node.open(config.withHwmonDir(empty))) {
      assertTrue(node.problems().getFirst().startsWith("no CPUs: "), node.problems().toString());
    }
  }
}
