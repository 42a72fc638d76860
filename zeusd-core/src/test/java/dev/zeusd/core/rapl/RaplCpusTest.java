package dev.zeusd.core.rapl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.TestLog;
import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuEnergy;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import dev.zeusd.core.kernel.BootClock;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import java.util.logging.Level;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RaplCpusTest {
  private static final BootClock CLOCK = BootClock.of(System::nanoTime);

  private Path root;
  private RaplTree tree;

  @BeforeEach
  void makeTree(@TempDir Path dir) {
    root = dir;
    tree = new RaplTree(dir.resolve("intel-rapl"));
  }

  private static CpuInfo cpu(int id, boolean dram) {
    return new CpuInfo(id, dram, CpuInfo.Domain.PACKAGE);
  }

  private static CpuInfo psys(int id) {
    return new CpuInfo(id, false, CpuInfo.Domain.PSYS);
  }

  private static List<CpuInfo> infos(Path dir) {
    try (RaplCpus cpus = RaplCpus.open(List.of(dir), CLOCK)) {
      return cpus.devices().stream().map(Cpu::info).toList();
    }
  }

  @Test
  void aRealTree() throws IOException {
    RaplTree.Zone first = tree.zone(0, "package-0");
    first.subZone(0, "core");
    first.subZone(1, "dram");
    tree.zone(1, "package-1").subZone(0, "uncore");
    tree.zone(2, "psys");
    Files.createDirectory(tree.dir().resolve("power"));
    Files.writeString(tree.dir().resolve("enabled"), "1\n");
    Files.createDirectory(tree.dir().resolve("intel-rapl:7"));
    assertEquals(List.of(cpu(0, true), cpu(1, false), psys(2)), infos(tree.dir()));
  }

  @Test
  void idsAreTheZonesNotThePackages() {
    tree.zone(10, "package-1-die-1");
    tree.zone(2, "package-1-die-0");
    tree.zone(0, "psys");
    tree.zone(1, "package-0-die-1");
    tree.zone(3, "package-x");
    tree.zone(4, "package-0-die-");
    assertEquals(List.of(psys(0), cpu(1, false), cpu(2, false), cpu(10, false)), infos(tree.dir()));
  }

  @Test
  void theClassDirectoryListsZonesAndSubZonesSideBySideAsLinks() throws IOException {
    RaplTree.Zone zone = tree.zone(0, "package-0");
    RaplTree.Zone dram = zone.subZone(0, "dram");
    RaplTree.Zone other = tree.zone(10, "package-1");
    Path classDir = Files.createDirectories(root.resolve("class"));
    for (Path target : List.of(tree.dir(), zone.dir(), dram.dir(), other.dir())) {
      Files.createSymbolicLink(classDir.resolve(target.getFileName()), target);
    }
    Files.createSymbolicLink(classDir.resolve("intel-rapl-mmio:0"), zone.dir());
    assertEquals(List.of(cpu(0, true), cpu(10, false)), infos(classDir));
  }

  @Test
  void subZonesBesideTheirZone() {
    tree.zone(0, "package-0");
    RaplTree.Zone second = tree.zone(1, "package-1");
    new RaplTree(tree.dir()).zone(1, "package-1");
    second
        .subZone(3, "dram")
        .dir()
        .toFile()
        .renameTo(tree.dir().resolve("intel-rapl:1:3").toFile());
    assertEquals(List.of(cpu(0, false), cpu(1, true)), infos(tree.dir()));
  }

  @Test
  void aLinkToTheTree() throws IOException {
    tree.zone(0, "package-0");
    Path link = Files.createSymbolicLink(root.resolve("link"), tree.dir());
    assertEquals(List.of(cpu(0, false)), infos(link));
  }

  @Test
  void withoutPackagesOrDirectoryThereAreNoCpus() {
    assertEquals(List.of(), infos(tree.dir()));
    assertEquals(List.of(), infos(root.resolve("nowhere")));
  }

  private static RaplCpus open(Path... candidates) {
    return RaplCpus.open(List.of(candidates), CLOCK);
  }

  @Test
  void theFirstDirectoryThatHasCpusIsTakenEachTime() throws IOException {
    Path host = root.resolve("host");
    Path mounted = root.resolve("zeus_sys/class/powercap/intel-rapl");
    try (RaplCpus cpus = open(mounted, host)) {
      assertEquals(List.of(), cpus.devices());
      // Where only class/powercap is mounted, its links lead nowhere.
      Files.createDirectories(mounted.getParent());
      Files.createSymbolicLink(mounted, Path.of("../../devices/virtual/powercap/intel-rapl"));
      new RaplTree(host);
      cpus.lookForMore();
      String problem = cpus.problems().getFirst();
      assertTrue(problem.contains(mounted + " is a link that leads nowhere"), problem);
      assertTrue(problem.contains("no zone in " + host + " is a CPU package"), problem);
      assertTrue(cpus.mayHaveMore());
      new RaplTree(host).zone(3, "package-0");
      new RaplTree(root.resolve("zeus_sys/devices/virtual/powercap/intel-rapl"))
          .zone(0, "package-0");
      try (TestLog log = new TestLog(RaplCpus.class.getName())) {
        cpus.lookForMore();
        assertEquals(List.of("1 CPU(s) by RAPL in " + mounted), log.lines(Level.INFO));
      }
      assertEquals(List.of(), cpus.problems());
      assertEquals(cpu(0, false), cpus.devices().getFirst().info());
    }
  }

  @Test
  void aDanglingMountDoesNotHideTheHostsTree() throws IOException {
    tree.zone(1, "package-0");
    Path dangling = Files.createSymbolicLink(root.resolve("link"), root.resolve("nowhere"));
    try (RaplCpus cpus = open(dangling, tree.dir())) {
      assertEquals(List.of(cpu(1, false)), cpus.devices().stream().map(Cpu::info).toList());
    }
  }

  @Test
  void onlyAPlatformIsToldAndPackagesMayCome() {
    tree.zone(1, "psys");
    try (RaplCpus cpus = open(tree.dir())) {
      assertEquals(List.of("no CPU packages in " + tree.dir() + ", only psys"), cpus.problems());
      tree.zone(0, "package-0");
      cpus.lookForMore();
      assertEquals(
          List.of(psys(1), cpu(0, false)), cpus.devices().stream().map(Cpu::info).toList());
      assertEquals(List.of(), cpus.problems());
    }
  }

  @ParameterizedTest
  @EnumSource
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aZoneThatIsLeftOutIsFoundWhenItHasRecovered(RaplFault fault) throws IOException {
    RaplTree.Zone faulty = tree.zone(0, "package-0");
    tree.zone(1, "package-1");
    fault.replace(faulty.dir().resolve("name"));
    try (RaplCpus cpus = open(tree.dir())) {
      List<Cpu> before = cpus.devices();
      boolean leftOut = before.size() == 1;
      assertTrue(leftOut, before.toString());
      faulty.restore(0);
      cpus.lookForMore();
      assertEquals(before.getFirst(), cpus.devices().getFirst(), "the known one stays");
      assertEquals(2, cpus.devices().size());
    }
  }

  @Test
  void twoFoldersNeverHaveOneId() throws IOException {
    tree.zone(0, "package-0");
    Files.createSymbolicLink(tree.dir().resolve("intel-rapl:00"), Path.of("intel-rapl:0"));
    assertEquals(List.of(cpu(0, false)), infos(tree.dir()));
  }

  @ParameterizedTest
  @EnumSource
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aZoneWithAFaultyNameIsLeftOut(RaplFault fault) throws IOException {
    fault.replace(tree.zone(0, "package-0").dir().resolve("name"));
    fault.replace(tree.zone(1, "package-1").subZone(0, "dram").dir().resolve("name"));
    assertEquals(List.of(cpu(1, false)), infos(tree.dir()));
  }

  @Test
  void energyOfPackageAndDram() {
    RaplTree.Zone zone = tree.zone(0, "package-0").energy(1_000);
    RaplTree.Zone dram = zone.subZone(0, "dram").energy(200);
    tree.zone(1, "package-1").energy(3_000);
    try (RaplCpus cpus = RaplCpus.open(List.of(tree.dir()), CLOCK)) {
      Cpu first = cpus.devices().get(0);
      Cpu second = cpus.devices().get(1);
      assertEquals(new CpuEnergy(1_000, OptionalLong.of(200)), first.energy());
      assertEquals(new CpuEnergy(3_000, OptionalLong.empty()), second.energy());
      dram.removeEnergy();
      zone.energy(1_500);
      assertEquals(1_500, first.cpuEnergyUj(), "the DRAM is not read");
      DeviceException e = assertThrows(DeviceException.Failed.class, first::dramEnergyUj);
      assertTrue(e.getMessage().contains(dram.energyFile().toString()), e.getMessage());
      assertEquals(new CpuEnergy(1_500, OptionalLong.empty()), first.energy(), "costs itself");
    }
  }
}
