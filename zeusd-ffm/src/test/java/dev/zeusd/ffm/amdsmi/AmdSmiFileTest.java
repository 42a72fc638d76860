package dev.zeusd.ffm.amdsmi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.zeusd.ffm.fake.FakeAmdSmi;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which library is loaded, and which is not. */
class AmdSmiFileTest {
  @TempDir private Path folder;

  private Path library(String name) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, "no library");
  }

  private static List<Path> found(Map<String, String> environment) {
    return AmdSmiFile.candidates(environment).map(AmdSmiFile.Candidate::file).toList();
  }

  @Test
  void whatTheEnvironmentNamesIsLookedAtAloneNewestEditionFirst() throws IOException {
    Path old = library("named/libamd_smi.so.24");
    Path young = library("named/libamd_smi.so.26");
    library("named/libamd_smi.so");
    library("named/libamd_smi.so.27");
    Path rocm = library("rocm/lib/libamd_smi.so.25");
    String named = folder.resolve("named").toString();
    String path = folder.resolve("rocm").toString();
    assertEquals(List.of(young, old), found(Map.of("AMDSMI_LIB_DIR", named, "ROCM_PATH", path)));
    assertEquals(List.of(rocm), found(Map.of("ROCM_PATH", path)));
    assertEquals(List.of(rocm), found(Map.of("ROCM_PATH", path, "AMDSMI_LIB_DIR", "")));
    assertEquals(List.of(), found(Map.of("AMDSMI_LIB_DIR", folder.toString())));
    assertEquals(List.of(), found(Map.of("AMDSMI_LIB_DIR", "named")), "relative: whose folder?");
  }

  @Test
  void theNewestRocmIsFoundByNumber() throws IOException {
    for (String name : List.of("rocm-6.9.0", "rocm-6.10.0", "rocm-6.4", "rocm-7.x", "rocm-", "x")) {
      Files.createDirectory(folder.resolve(name));
    }
    assertEquals(Optional.of(folder.resolve("rocm-6.10.0")), AmdSmiFile.newestRocm(folder));
    assertEquals(Optional.empty(), AmdSmiFile.newestRocm(folder.resolve("none")));
  }

  @Test
  void aLibraryThatOthersCouldReplaceIsNotLoaded() throws Exception {
    Path real = FakeAmdSmi.inProcess(26).libraryDirectory().resolve("libamd_smi.so.26");
    Path open = Files.createDirectory(folder.resolve("open"));
    Path copy = Files.copy(real, open.resolve(real.getFileName()));
    assertEquals(Optional.empty(), AmdSmiFile.stranger(copy));
    Files.setPosixFilePermissions(copy, PosixFilePermissions.fromString("rwxrwxrwx"));
    assertEquals(Optional.of("others may write to it"), AmdSmiFile.stranger(copy));
    Files.setPosixFilePermissions(copy, PosixFilePermissions.fromString("rwxr-xr-x"));
    Files.setPosixFilePermissions(open, PosixFilePermissions.fromString("rwxrwxrwx"));
    AmdSmiException e = assertThrows(AmdSmiException.class, () -> AmdSmiLibrary.openIn(open));
    assertEquals(AmdSmiStatus.LIBRARY_NOT_FOUND, e.status());
    assertTrue(
        e.getMessage().contains(copy + " is not trusted: everybody may write to " + open),
        e.getMessage());
  }

  @Test
  void whatIsNoLibraryIsNamed() throws IOException {
    Path file = library("libamd_smi.so.26");
    AmdSmiException e = assertThrows(AmdSmiException.class, () -> AmdSmiLibrary.openIn(folder));
    assertTrue(e.getMessage().contains(file + " is no library for this machine"), e.getMessage());
    assertTrue(e.getMessage().contains("AMDSMI_LIB_DIR"), e.getMessage());
  }
}
