package dev.zeusd.core.rapl;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.core.device.Cpu;
import dev.zeusd.core.device.CpuEnergy;
import dev.zeusd.core.device.CpuInfo;
import dev.zeusd.core.device.DeviceException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class RaplCpusTest {
  private Path root;
  private RaplTree tree;

  @BeforeEach
  void makeTree(@TempDir Path dir) {
    root = dir;
    tree = new RaplTree(dir.resolve("intel-rapl"));
  }

  private static List<CpuInfo> infos(Path dir) {
    try (RaplCpus cpus = RaplCpus.open(dir, System::nanoTime)) {
      return cpus.cpus().stream().map(Cpu::info).toList();
    }
  }

  @Test
  void aRealTree() throws IOException {
    RaplTree.Zone first = tree.zone(0, "package-0");
    first.subZone(0, "core");
    first.subZone(1, "dram");
    tree.zone(1, "package-1").subZone(0, "uncore");
    tree.zone(2, "psys").subZone(0, "dram");
    Files.createDirectory(tree.dir().resolve("power"));
    Files.writeString(tree.dir().resolve("enabled"), "1\n");
    Files.createDirectory(tree.dir().resolve("intel-rapl:7"));
    assertEquals(List.of(new CpuInfo(0, true), new CpuInfo(1, false)), infos(tree.dir()));
  }

  @Test
  void idsAreTheZonesNotThePackages() {
    tree.zone(10, "package-1-die-1");
    tree.zone(2, "package-1-die-0");
    tree.zone(0, "psys");
    tree.zone(1, "package-0-die-1");
    tree.zone(3, "package-x");
    tree.zone(4, "package-0-die-");
    assertEquals(
        List.of(new CpuInfo(1, false), new CpuInfo(2, false), new CpuInfo(10, false)),
        infos(tree.dir()));
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
    assertEquals(List.of(new CpuInfo(0, true), new CpuInfo(10, false)), infos(classDir));
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
    assertEquals(List.of(new CpuInfo(0, false), new CpuInfo(1, true)), infos(tree.dir()));
  }

  @Test
  void aLinkToTheTree() throws IOException {
    tree.zone(0, "package-0");
    Path link = Files.createSymbolicLink(root.resolve("link"), tree.dir());
    assertEquals(List.of(new CpuInfo(0, false)), infos(link));
  }

  @Test
  void withoutPackagesOrDirectoryThereAreNoCpus() {
    tree.zone(0, "psys");
    assertEquals(List.of(), infos(tree.dir()));
    assertEquals(List.of(), infos(root.resolve("nowhere")));
  }

  @ParameterizedTest
  @EnumSource
  @Timeout(value = 20, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
  void aZoneWithAFaultyNameIsLeftOut(RaplFault fault) throws IOException {
    fault.replace(tree.zone(0, "package-0").dir().resolve("name"));
    fault.replace(tree.zone(1, "package-1").subZone(0, "dram").dir().resolve("name"));
    assertEquals(List.of(new CpuInfo(1, false)), infos(tree.dir()));
  }

  @Test
  void energyOfPackageAndDram() {
    RaplTree.Zone zone = tree.zone(0, "package-0").energy(1_000);
    RaplTree.Zone dram = zone.subZone(0, "dram").energy(200);
    tree.zone(1, "package-1").energy(3_000);
    try (RaplCpus cpus = RaplCpus.open(tree.dir(), System::nanoTime)) {
      Cpu first = cpus.cpus().get(0);
      Cpu second = cpus.cpus().get(1);
      assertEquals(new CpuEnergy(1_000, OptionalLong.of(200)), first.energy());
      assertEquals(new CpuEnergy(3_000, OptionalLong.empty()), second.energy());
      dram.removeEnergy();
      zone.energy(1_500);
      assertEquals(1_500, first.cpuEnergyUj(), "the DRAM is not read");
      DeviceException e = assertThrows(DeviceException.Failed.class, first::dramEnergyUj);
      assertTrue(e.getMessage().contains(dram.energyFile().toString()), e.getMessage());
    }
  }
}
