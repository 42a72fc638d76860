package dev.zeusd.ffm.amdsmi;

import dev.zeusd.ffm.driver.LibraryFiles;
import dev.zeusd.ffm.posix.FileFacts;
import dev.zeusd.ffm.posix.Strangers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * Where AMD SMI's library may be: in the folder that {@code AMDSMI_LIB_DIR} names and nowhere else;
 * or, without that, in the ROCm that {@code ROCM_PATH} names; or, without either, in {@code
 * /opt/rocm}, in the newest of {@code /opt/rocm-*}, and where the dynamic linker looks. A name
 * without an edition is none, since the editions do not understand each other.
 */
public final class AmdSmiFile {
  /** Names the folder of the library. */
  static final String LIB_DIR = "AMDSMI_LIB_DIR";

  private static final String ROCM_PATH = "ROCM_PATH";
  private static final Path KERNEL_DRIVER = Path.of("/sys/module/amdgpu");
  private static final Path OPT = Path.of("/opt");
  private static final Pattern ROCM = Pattern.compile("rocm-(\\d{1,9}(?:\\.\\d{1,9}){0,3})");

  private AmdSmiFile() {}

  /** A library and the form that its name says it has. */
  record Candidate(AmdSmiEdition edition, Path file) {}

  /**
   * Whether there is a library that is worth loading: one that somebody has named, or one beside
   * the kernel's driver. Loads nothing, and not the classes that call it either.
   *
   * @param folder the only one to look in, if somebody has named one
   */
  public static boolean isThere(Optional<Path> folder) {
    if (folder.isPresent()) {
      return in(folder.get().toAbsolutePath().toString()).findAny().isPresent();
    }
    Map<String, String> environment = System.getenv();
    boolean named = environment.containsKey(LIB_DIR) || environment.containsKey(ROCM_PATH);
    return (named || Files.exists(KERNEL_DRIVER)) && candidates(environment).findAny().isPresent();
  }

  /** The files that are there, the likeliest first; the newest edition first in each folder. */
  static Stream<Candidate> candidates(Map<String, String> environment) {
    String folder = environment.getOrDefault(LIB_DIR, "");
    String rocm = environment.getOrDefault(ROCM_PATH, "");
    if (!folder.isEmpty()) {
      return in(folder);
    }
    if (!rocm.isEmpty()) {
      return in(rocm + "/lib");
    }
    Stream<Candidate> rocms =
        Stream.concat(Stream.of("/opt/rocm/lib"), newestRocm(OPT).map(dir -> dir + "/lib").stream())
            .flatMap(AmdSmiFile::in);
    Stream<Candidate> linked =
        Arrays.stream(AmdSmiEdition.values())
            .flatMap(
                edition ->
                    LibraryFiles.find(edition.fileName(), List.of())
                        .map(file -> new Candidate(edition, file)));
    return Stream.concat(rocms, linked);
  }

  private static Stream<Candidate> in(String folder) {
    return Arrays.stream(AmdSmiEdition.values())
        .flatMap(
            edition ->
                LibraryFiles.findIn(folder, edition.fileName())
                    .map(file -> new Candidate(edition, file)));
  }

  /** The folder {@code rocm-*} with the highest version, in numbers: 6.10 is newer than 6.9. */
  static Optional<Path> newestRocm(Path parent) {
    if (!Files.isDirectory(parent)) {
      return Optional.empty();
    }
    try (Stream<Path> entries = Files.list(parent)) {
      return entries
          .filter(dir -> ROCM.matcher(dir.getFileName().toString()).matches())
          .max(Comparator.comparing(AmdSmiFile::version, Arrays::compare));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  private static int[] version(Path rocm) {
    String[] numbers = rocm.getFileName().toString().substring("rocm-".length()).split("\\.");
    return Arrays.stream(numbers).mapToInt(Integer::parseInt).toArray();
  }

  /**
   * Says who, besides root and this process's user, could have the library be another one; nobody,
   * if empty.
   */
  static Optional<String> stranger(Path library) {
    try {
      FileFacts facts = FileFacts.ofTarget(library);
      if (!Strangers.isTrusted(facts.uid())) {
        return Optional.of("it belongs to another user than root and this one");
      }
      if (Strangers.mayWrite(facts)) {
        return Optional.of("others may write to it");
      }
      return Strangers.whoReplaces(library);
    } catch (IOException e) {
      return Optional.of(FileFacts.reason(e));
    }
  }
}
